"""RL4CO's side of neural_speed.py; it runs in an environment of its own and imports nothing of this project."""

import argparse
import json
import sys
import time

import torch
from rl4co.envs import CVRPEnv
from rl4co.models.zoo.am import AttentionModelPolicy
from rl4co.utils.ops import unbatchify

NUMBER = {"train": 64, "many": 250, "one": 1}


def main() -> None:
    """Answer one line for each task."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(1)
    states = {}
    for task in map(str.strip, sys.stdin):
        kind, size = task.split("-")
        starts = int(size)
        if task not in states:
            environment = CVRPEnv(generator_params={"num_loc": starts})
            policy = AttentionModelPolicy(
                env_name="cvrp", embed_dim=128, num_encoder_layers=3, num_heads=8, normalization="instance",
                use_graph_context=False,
            )  # fmt: skip
            states[task] = environment, policy, torch.optim.Adam(policy.parameters(), lr=1e-4)
        environment, policy, optimizer = states[task]
        instances = environment.generator([NUMBER[kind]])
        begun = time.perf_counter()
        state = environment.reset(instances)
        if kind == "train":
            optimizer.zero_grad()
            out = policy(state, environment, phase="train", decode_type="multistart_sampling", num_starts=starts)
            reward, likelihood = (unbatchify(out[name], starts) for name in ("reward", "log_likelihood"))
            loss = -((reward - reward.mean(dim=1, keepdim=True)) * likelihood).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimizer.step()
        else:
            with torch.inference_mode():
                out = policy(state, environment, phase="test", decode_type="multistart_greedy", num_starts=starts)
                unbatchify(out["reward"], starts).amax(dim=1)
        print(json.dumps({"seconds": time.perf_counter() - begun}), flush=True)


if __name__ == "__main__":
    main()

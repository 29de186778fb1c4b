# The service's image: docker-compose.yml runs api, workers and migrations from it.
#   docker build -t versus .                                                     for machines without a GPU
#   docker build -t versus-gpu --build-arg TORCH_INDEX=https://pypi.org/simple .  with CUDA
FROM python:3.11-slim AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/versus
ENV PATH=/opt/versus/bin:$PATH
WORKDIR /build
# The dependencies first: they change seldom, and the layers are kept.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > all.txt \
 && grep '^torch==' all.txt > torch.txt \
 && pip install --index-url "$TORCH_INDEX" --requirement torch.txt \
 && pip install --requirement all.txt
COPY README.md LICENSE ./
COPY instances instances
COPY solvers solvers
COPY services services
RUN pip install --no-deps . && python -m compileall -q /opt/versus

FROM python:3.11-slim
RUN groupadd --gid 10001 versus && useradd --uid 10001 --gid versus --no-create-home --home-dir /tmp versus
COPY --from=build /opt/versus /opt/versus
ENV PATH=/opt/versus/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME=/tmp/cache
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
CMD ["versus", "--help"]

"""Instances in files and folders: JSON documents here, other formats by their problem."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from instances.errors import InvalidInput
from instances.problem import FileEntry, Instance
from instances.problems import PROBLEMS, problem_named, problem_of
from instances.text import parse_json, read_text, suffix, write_text

DOCUMENT = ".json"
DOCUMENTS = ".jsonl"


def suffixes() -> tuple[str, ...]:
    """Suffixes of instance files; ``.gz`` may follow each."""
    return (*(form for problem in PROBLEMS for form in problem.suffixes), DOCUMENT, DOCUMENTS)


def read_path(path: Path, rounding: str | None = None) -> list[FileEntry]:
    """The instances of a file, or of all instance files below a folder in the order of their paths.

    ``rounding`` replaces the rule of files with planar coordinates; a document keeps its own. Folders are
    searched for the known suffixes; solutions and other files in them are passed over, and so is a .json file
    without a ``problem``: it is no instance's document, but a solution's, say.

    Raises
    ------
    InvalidInput
        If the file is malformed, or any file of a folder is (then it lists all that are), or there is none.
    """
    return read_paths([path], rounding)


def read_paths(paths: Iterable[Path], rounding: str | None = None) -> list[FileEntry]:
    """The instances of files and folders, in the order given.

    Raises
    ------
    InvalidInput
        Listing every malformed file, a line each.
    """
    entries: list[FileEntry] = []
    errors: list[InvalidInput] = []
    for path in paths:
        found: list[FileEntry] = []
        wrong: list[InvalidInput] = []
        for file in _files(path):
            try:
                found += _read_file(file, rounding, named=file == path)
            except InvalidInput as error:
                wrong.append(error)
        if not found and not wrong:
            wrong.append(InvalidInput(f"holds no instance; {_accepted()}", str(path)))
        entries += found
        errors += wrong
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InvalidInput("\n".join([f"{len(errors)} files cannot be read:", *map(str, errors)]))
    return entries


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if suffix(file) in suffixes() and file.is_file())


def _read_file(path: Path, rounding: str | None, named: bool) -> list[FileEntry]:
    """The instances of a file that was ``named``, or else found in a folder."""
    form = suffix(path)
    if form in (DOCUMENT, DOCUMENTS):
        return list(_read_documents(path, form == DOCUMENTS, rounding, named))
    for problem in PROBLEMS:
        if form in problem.suffixes:
            return list(problem.read(path, rounding))
    if not path.exists():
        raise InvalidInput("there is no such file", str(path))
    raise InvalidInput(f"is no instance file; {_accepted()}", str(path))


def _accepted() -> str:
    return f"accepted are {', '.join(suffixes())}, each also with .gz"


def _read_documents(path: Path, lines: bool, rounding: str | None, named: bool) -> Iterator[FileEntry]:
    text = read_text(path)
    notes = () if rounding is None else ("--rounding does not apply: a document states its own",)
    for number, part in enumerate(text.split("\n") if lines else [text], start=1):
        if not part.strip():
            continue
        try:
            document = parse_json(part)
            if not lines and not named and not (isinstance(document, dict) and "problem" in document):
                continue
            if not isinstance(document, dict) or not isinstance(document.get("problem"), str):
                names = ", ".join(repr(problem.name) for problem in PROBLEMS)
                raise InvalidInput(f'must be a JSON object with "problem", one of {names}')
            instance = problem_named(document["problem"]).load(document)
        except InvalidInput as error:
            raise error.within(f"{path}: line {number}" if lines else str(path)) from error
        yield FileEntry(instance, path, notes)


def write_instance(instance: Instance, path: Path) -> None:
    """Write one instance in the format that the suffix names (.json and .jsonl hold all); ``.gz`` compresses.

    Raises
    ------
    InvalidInput
        If the suffix names no format, or one that cannot hold the instance (it says what would be lost).
    """
    problem = problem_of(instance)
    form = suffix(path)
    if form in (DOCUMENT, DOCUMENTS):
        write_jsonl([instance], path)
    elif form in problem.suffixes:
        problem.write(instance, path)
    else:
        raise InvalidInput(f"names no format of instances; {_accepted()}", str(path))


def write_jsonl(instances: Iterable[Instance], path: Path) -> None:
    """Write instances as JSON documents, one a line."""
    lines = [json.dumps(problem_of(instance).dump(instance), separators=(",", ":")) for instance in instances]
    write_text("".join(line + "\n" for line in lines), path)

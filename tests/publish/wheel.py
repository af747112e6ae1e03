"""What a wheel or a source distribution says about itself, as JSON, by the rules that PyPI applies at an upload.

`wheel.py FILE`. An invalid name or an invalid field of the metadata is an error.
"""

import json
import sys
import tarfile
import zipfile
from pathlib import Path

from packaging.metadata import Metadata
from packaging.utils import parse_sdist_filename, parse_wheel_filename


def wheel(path: Path) -> dict:
    name, version, _, tags = parse_wheel_filename(path.name)
    with zipfile.ZipFile(path) as archive:
        names = sorted(archive.namelist())
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        inner = archive.read(f"{info}/WHEEL").decode().splitlines()
        metadata = archive.read(f"{info}/METADATA")
    return {
        "files": names,
        "tags": sorted(map(str, tags)),
        "inner_tags": sorted(line.removeprefix("Tag: ") for line in inner if line.startswith("Tag: ")),
        "metadata": fields(metadata),
    }


def source(path: Path) -> dict:
    name, version = parse_sdist_filename(path.name)
    top = f"{name.replace('-', '_')}-{version}/"
    with tarfile.open(path) as archive:
        names = archive.getnames()
        metadata = archive.extractfile(f"{top}PKG-INFO").read()
    assert all(name.startswith(top) for name in names), names
    return {"files": sorted(name.removeprefix(top) for name in names), "metadata": fields(metadata)}


def fields(text: bytes) -> dict:
    metadata = Metadata.from_email(text, validate=True)
    return {
        "name": metadata.name,
        "version": str(metadata.version),
        "summary": metadata.summary,
        "description": metadata.description,
        "description_content_type": metadata.description_content_type,
        "license_expression": metadata.license_expression,
        "license_files": metadata.license_files,
        "keywords": metadata.keywords,
        "requires_python": str(metadata.requires_python),
        "requires_dist": metadata.requires_dist,
        "urls": metadata.project_urls,
    }


if __name__ == "__main__":
    file = Path(sys.argv[1])
    json.dump(wheel(file) if file.suffix == ".whl" else source(file), sys.stdout)

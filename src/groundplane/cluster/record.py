"""What was brought up last under a name: the cluster file and the files it names, as they were.

`status`, `shell`, `down` and the next `up` work from it when no file is given, and the next `up` compares against it.
"""

import base64
import json

from groundplane.cluster import document
from groundplane.cluster.lab import paths
from groundplane.cluster.model import Cluster, InputFile
from groundplane.errors import Invalid
from groundplane.names import ClusterName
from groundplane.system import files

_FORMAT = 1


def save(cluster: Cluster) -> bool:
    """Remember `cluster`; False if that was remembered already."""
    record = {
        "format": _FORMAT,
        "name": cluster.name,
        "source": cluster.source,
        "document": _text(cluster.text),
        "inputs": {name: {"source": f.source, "data": _text(f.data)} for name, f in cluster.inputs.items()},
    }
    data = (json.dumps(record, indent=1) + "\n").encode()
    path = paths.lab(cluster.name).record
    if files.read_optional(path) == data:
        return False
    files.replace(path, data, mode=files.PRIVATE)
    return True


def load(name: ClusterName) -> Cluster | None:
    """The cluster that was remembered under `name`, None if there is none. Raises Invalid for a damaged record."""
    path = paths.lab(name).record
    data = files.read_optional(path)
    if data is None:
        return None
    try:
        record = json.loads(data)
        inputs = {
            key: InputFile(source=value["source"], data=base64.b64decode(value["data"]))
            for key, value in record["inputs"].items()
        }
        text, source = base64.b64decode(record["document"]), str(record["source"])
    except (ValueError, KeyError, TypeError) as bad:
        raise Invalid("is damaged", to=path, hint="name the cluster file; `up` writes it anew") from bad

    def read(relative: str) -> InputFile:
        if relative not in inputs:
            raise Invalid("is not in the record", to=relative)
        return inputs[relative]

    return document.parse(text, source=source, read=read, name=name)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()

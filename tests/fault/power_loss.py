"""A model of a disk that loses power: it keeps what was synced, and any part of what was not.

- A file keeps its synced bytes. Of each write after the last sync, any of its 512-byte sectors may be kept and
  others not; the file may have grown without its bytes, which then are zeros. A cut may or may not have happened.
- A folder keeps its synced entries. Any entries made, renamed or removed since its last sync may be kept or not,
  independently of each other.
- Power goes at the n-th operation, in the middle of it; every later operation fails as well.
"""

from pathlib import Path

SECTOR = 512


class PowerLoss(BaseException):
    """The machine is off."""


class Inode:
    def __init__(self, content=b""):
        self.content = bytearray(content)  # as a running process sees it
        self.synced = bytes(content)
        self.pending = []  # ("write", offset, bytes) and ("cut", size) since the last sync

    def survivor(self, random):
        content = bytearray(self.synced)
        for operation, at, *data in self.pending:
            if operation == "cut":
                if random.random() < 0.5:
                    del content[at:]
                continue
            for start in range(0, len(data[0]), SECTOR):
                sector = data[0][start : start + SECTOR]
                if random.random() < 0.5:
                    end = at + start + len(sector)
                    content.extend(bytes(max(0, end - len(content))))
                    content[at + start : end] = sector
        return Inode(content)


class PowerLossDisk:
    """Implements datawarehouse.durable.Disk."""

    def __init__(self, random, power_until=None, folders=None):
        self.random = random
        self.power_until = power_until
        self.operations = 0
        self.folders = folders or {Path("/"): {}}  # folder -> {name: Inode, or None for a folder}
        self.synced_folders = {path: dict(entries) for path, entries in self.folders.items()}
        self.changes = {path: [] for path in self.folders}  # folder -> [(names and what they became)]

    def restarted(self, power_until=None):
        """The disk as the next start of the machine finds it."""
        survivors = {}
        folders = {Path("/"): None}
        todo = [Path("/")]
        while todo:
            path = todo.pop()
            entries = dict(self.synced_folders[path])
            for change in self.changes[path]:
                if self.random.random() < 0.5:
                    for name, inode in change.items():
                        if inode == "gone":
                            entries.pop(name, None)
                        else:
                            entries[name] = inode
            kept = {}
            for name, inode in entries.items():
                if inode is None:
                    kept[name] = None
                    todo.append(path / name)
                else:
                    kept[name] = survivors.setdefault(id(inode), inode.survivor(self.random))
            folders[path] = kept
        return PowerLossDisk(self.random, power_until, folders)

    # -- Disk

    def open(self, path, *, new):
        self._operation()
        entries = self.folders[path.parent]
        if new:
            if path.name in entries:
                raise FileExistsError(path)
            self._change(path.parent, {path.name: Inode()})
        elif path.name not in entries:
            raise FileNotFoundError(path)
        return OpenFile(self, entries[path.name])

    def read(self, path, offset=0, length=None):
        content = self._inode(path).content
        return bytes(content[offset:] if length is None else content[offset : offset + length])

    def size(self, path):
        return len(self._inode(path).content)

    def names(self, folder):
        return list(self.folders[folder])

    def exists(self, path):
        return path == Path("/") or path.name in self.folders.get(path.parent, {})

    def rename(self, source, target):
        assert source.parent == target.parent
        self._operation()
        self._change(source.parent, {source.name: "gone", target.name: self._inode(source)})

    def remove(self, path):
        self._operation()
        self._inode(path)
        self._change(path.parent, {path.name: "gone"})

    def make_folder(self, path):
        self._operation()
        if self.exists(path):
            raise FileExistsError(path)
        self._change(path.parent, {path.name: None})
        self.folders[path] = {}
        self.synced_folders[path] = {}
        self.changes[path] = []

    def sync_folder(self, path):
        self._operation()
        self.synced_folders[path] = dict(self.folders[path])
        self.changes[path] = []

    def _inode(self, path):
        entries = self.folders.get(path.parent, {})
        if entries.get(path.name) is None:
            raise FileNotFoundError(path)
        return entries[path.name]

    def _change(self, folder, change):
        for name, inode in change.items():
            if inode == "gone":
                del self.folders[folder][name]
            else:
                self.folders[folder][name] = inode
        self.changes[folder].append(change)

    def _operation(self):
        self.operations += 1
        if self.power_until is not None and self.operations > self.power_until:
            raise PowerLoss


class OpenFile:
    def __init__(self, disk, inode):
        self.disk = disk
        self.inode = inode

    def write(self, buffers):
        data = b"".join(buffers)
        at = len(self.inode.content)
        self.inode.content += data
        self.inode.pending.append(("write", at, data))
        self.disk._operation()  # the power may go when part of the bytes are on their way

    def sync(self):
        self.disk._operation()
        self.inode.synced = bytes(self.inode.content)
        self.inode.pending = []

    def truncate(self, size):
        self.disk._operation()
        del self.inode.content[size:]
        self.inode.pending.append(("cut", size))

    def close(self):
        pass

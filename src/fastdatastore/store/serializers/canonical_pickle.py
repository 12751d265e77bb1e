"""Pickles that say the same are made the same.

A pickler writes a string that it has met before as a reference, and it tells strings by identity. Whether two equal
strings are one object is an accident: of the interpreter's version, of who made them, of a round trip through a pickle.
So the references are settled again by value: each str and bytes object that is equal to an earlier one becomes a
reference to that. And sets, whose order is another accident, are sorted if they hold nothing but strings, numbers,
booleans and None. Frames, which only help readers of files, go.

This works on the opcodes of protocols 4 and 5, and changes nothing about what they build but which equal strings are
one object.
"""

from __future__ import annotations

_PROTO, _FRAME, _MEMOIZE, _MARK, _EMPTY_SET = b"\x80", b"\x95", b"\x94", b"(", b"\x8f"
_ADDITEMS, _FROZENSET = b"\x90", b"\x91"
# As the C pickler does.
_BATCH = 1000

# The length of a fixed argument.
_FIXED = {
    **dict.fromkeys(b"(.01N\x88\x89)t\x85\x86\x87]ae}su\x8f\x90\x91\x81\x92\x93Rb\x94\x97\x98", 0),
    **dict.fromkeys(b"Kh\x80\x82", 1),
    **dict.fromkeys(b"M\x83", 2),
    **dict.fromkeys(b"Jj\x84", 4),
    **dict.fromkeys(b"G\x95", 8),
}
# The length of the length of an argument.
_COUNTED = {
    **dict.fromkeys(b"\x8aC\x8c", 1),
    **dict.fromkeys(b"\x8bBX", 4),
    **dict.fromkeys(b"\x8e\x8d\x96", 8),
}
_STRINGS = frozenset(b"\x8cX\x8dCB\x8e")
_SCALARS = frozenset(b"N\x88\x89KMJG\x8a\x8b")
_GETS = frozenset(b"hj")


def canonical(pickled: bytes) -> bytes:
    """The same object's pickle, independent of which of its strings are one object and of the order of simple sets.

    Args:
        pickled: As written by pickle.Pickler with protocol 4 or 5. One with other opcodes is given back as it is.
    """
    opcodes = _split(pickled)
    return pickled if opcodes is None else _Rewriter(opcodes).rewritten()


def _split(pickled: bytes) -> list[bytes] | None:
    """Opcodes with their arguments, without frames."""
    opcodes = []
    at = 0
    while at < len(pickled):
        code = pickled[at]
        end = at + 1
        if code in _FIXED:
            end += _FIXED[code]
        elif code in _COUNTED:
            width = _COUNTED[code]
            end += width + int.from_bytes(pickled[end : end + width], "little")
        else:
            return None
        if code != _FRAME[0]:
            opcodes.append(pickled[at:end])
        at = end
    return opcodes


class _Rewriter:
    def __init__(self, opcodes: list[bytes]) -> None:
        self._opcodes = opcodes
        self._written: list[bytes] = []
        # What the pickler remembered, in its order: a string's opcode, or the new number of anything else.
        self._memo: list[bytes | int] = []
        self._strings: dict[bytes, int] = {}
        self._numbers = 0

    def rewritten(self) -> bytes:
        at = 0
        while at < len(self._opcodes):
            opcode = self._opcodes[at]
            if opcode == _MARK and (end := self._set(at)):
                at = end
                continue
            at += 1
            if opcode[0] in _STRINGS:
                self._write_atom(opcode)
                if self._opcodes[at] == _MEMOIZE:
                    self._memo.append(opcode)
                    at += 1
            elif opcode[0] in _GETS:
                remembered = self._memo[_number(opcode)]
                if isinstance(remembered, bytes):
                    self._write_atom(remembered)
                else:
                    self._written.append(_get(remembered))
            else:
                self._written.append(opcode)
                if opcode == _MEMOIZE:
                    self._memo.append(self._numbers)
                    self._numbers += 1
        return b"".join(self._written)

    def _write_atom(self, opcode: bytes) -> None:
        if opcode[0] not in _STRINGS:
            self._written.append(opcode)
        elif opcode in self._strings:
            self._written.append(_get(self._strings[opcode]))
        else:
            self._written += (opcode, _MEMOIZE)
            self._strings[opcode] = self._numbers
            self._numbers += 1

    def _set(self, at: int) -> int | None:
        """Writes the simple set whose items start at this mark; where it ends, or None if it is none."""
        atoms: list[bytes] = []
        memo: list[bytes | int] = []
        while True:
            batch = self._atoms(at + 1, memo)
            if batch is None:
                return None
            found, at = batch
            closing = self._opcodes[at]
            if closing not in (_ADDITEMS, _FROZENSET):
                return None
            atoms += found
            at += 1
            # A set comes in batches; another one right behind is of the same set.
            if closing == _FROZENSET or self._opcodes[at] != _MARK or not self._is_batch(at, memo):
                break
        self._memo += memo
        atoms.sort()
        if closing == _FROZENSET:
            self._write_batch(atoms, closing)
        else:
            for start in range(0, len(atoms), _BATCH):
                self._write_batch(atoms[start : start + _BATCH], closing)
        return at

    def _is_batch(self, at: int, memo: list[bytes | int]) -> bool:
        batch = self._atoms(at + 1, list(memo))
        return batch is not None and self._opcodes[batch[1]] == _ADDITEMS

    def _write_batch(self, atoms: list[bytes], closing: bytes) -> None:
        self._written.append(_MARK)
        for atom in atoms:
            self._write_atom(atom)
        self._written.append(closing)

    def _atoms(self, at: int, memo: list[bytes | int]) -> tuple[list[bytes], int] | None:
        """Strings and scalars from here on, and where they end; None if a reference is to something else."""
        atoms: list[bytes] = []
        while True:
            opcode = self._opcodes[at]
            if opcode[0] in _STRINGS:
                if self._opcodes[at + 1] == _MEMOIZE:
                    memo.append(opcode)
                    at += 1
            elif opcode[0] in _GETS:
                number = _number(opcode)
                known = self._memo[number] if number < len(self._memo) else memo[number - len(self._memo)]
                if isinstance(known, int):
                    return None
                opcode = known
            elif opcode[0] not in _SCALARS:
                return atoms, at
            atoms.append(opcode)
            at += 1


def _number(opcode: bytes) -> int:
    return int.from_bytes(opcode[1:], "little")


def _get(number: int) -> bytes:
    return b"h%c" % number if number < 256 else b"j" + number.to_bytes(4, "little")

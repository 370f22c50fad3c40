"""The stores. Each class is the contract and its only implementation, over any engine.

A method checks and encodes its arguments, has the engine run a script, and returns its result.

What holds everywhere:

* An operation is atomic, and a write that returned is as durable as its engine promises. One that
  raised has changed nothing, unless the error's `maybe_written` says that this cannot be known.
* A cancelled call leaves all of its changes or none.
* Arguments are copied; results are independent copies. Text may hold anything but lone surrogates;
  identifiers may be empty. Text sorts by code point.
* Beside the errors listed, every method may raise `SerializationError` (an argument of a wrong
  type, without JSON form, nested too deeply or too large; stored data that cannot be read),
  `ReadFailedError` or `WriteFailedError` (the medium failed), and `InternalError` (the store is
  closed, a number is out of range).
* `Contract:` names the cases of `mobstore.testing` that show the rule.
"""

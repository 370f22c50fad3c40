"""The stores. Each class is the contract and its only implementation, over any engine.

A method checks and encodes its arguments, runs a script on the engine, and returns its result.

Rules for all methods:

* An operation is atomic, and a completed write is as durable as its engine promises. An operation
  that raised has changed nothing, unless the error's `maybe_written` is set.
* A cancelled call leaves all of its changes or none.
* Arguments are copied; results are independent copies. Text may hold anything except lone
  surrogates; identifiers may be empty. Text sorts by code point.
* Every method may raise these errors, besides those in its docstring: `UsageError` (an argument of
  the wrong type or out of range), `SerializationError` (an argument without JSON form, nested too
  deeply or too large; unreadable stored data), `ReadFailedError` or `WriteFailedError` (the medium
  failed), and `ClosedError` (the store is closed).
* `Contract:` names the cases of `mobstore.testing` that prove the rule.
"""

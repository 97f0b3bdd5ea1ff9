"""Builds the typed tree of a syntax tree, by the type rules of each operator and function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_smtp_cm.macros.ssis.data_types import (
    DATES,
    INTEGERS,
    NUMBERS,
    STRINGS,
    TEXTS,
    TIMES,
    UNSIGNED,
    DataType,
)
from airflow_smtp_cm.macros.ssis.dates import part_of
from airflow_smtp_cm.ssis.expressions.casts import NotCastable, cast, common_number, convert
from airflow_smtp_cm.ssis.expressions.errors import ExpressionError
from airflow_smtp_cm.ssis.expressions.signatures import SIGNATURES, Parameter
from airflow_smtp_cm.ssis.expressions.syntax import (
    Binary,
    Call,
    Cast,
    Conditional,
    Expression,
    Literal,
    Node,
    Unary,
    Variable,
)
from airflow_smtp_cm.ssis.expressions.typed import Constant, Operation, Typed, operation, retyped

if TYPE_CHECKING:
    from collections.abc import Callable

# The maximum depth of syntax (parser.MAX_DEPTH), and room for conversions. Recursion over this tree is safe.
MAX_DEPTH = 128
# No real expression joins more texts; variables that are inlined in each other may double the number at each level.
MAX_PARTS = 2000

_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
_BITWISE = {"&": "bit_and", "|": "bit_or", "^": "bit_xor"}
_LOGICAL = {"&&": "logical_and", "||": "logical_or"}
_COMPARISONS = {
    "==": "equal",
    "!=": "unequal",
    "<": "less",
    "<=": "less_or_equal",
    ">": "greater",
    ">=": "greater_or_equal",
}
# Functions with type rules of their own, and the number of their arguments.
_ARGUMENTS_OF_OTHERS = {"GETDATE": 0, "GETUTCDATE": 0, "HEX": 1, "ISNULL": 1, "LEN": 1, "REPLACENULL": 2}
_ACCEPTED = {
    Parameter.TEXT: STRINGS,
    Parameter.WHOLE: INTEGERS,
    Parameter.NUMBER: NUMBERS,
    Parameter.REAL: NUMBERS,
    Parameter.DATE: DATES,
}
_BITS = {kind: 8 * int(kind.value[-1]) for kind in INTEGERS}
_ORDER_OF_TIMESTAMPS = (
    DataType.DBTIMESTAMPOFFSET,
    DataType.DBTIMESTAMP2,
    DataType.DBTIMESTAMP,
)


class Checker:
    """Checks the types of one expression.

    Attributes:
        expression: the expression.
        resolve: returns the typed node of a variable.
        now: returns the node of the current time: of GETDATE ("getdate") or GETUTCDATE ("getutcdate").
    """

    def __init__(
        self, expression: Expression, resolve: Callable[[Variable], Typed], now: Callable[[str, int], Typed]
    ) -> None:
        self.expression = expression
        self.resolve = resolve
        self.now = now

    def check(self) -> Typed:
        """Return the typed tree of the expression.

        Raises:
            ExpressionError: the types do not match, or a function is unknown.
        """
        return self._node(self.expression.root)

    def _node(self, node: Node) -> Typed:
        match node:
            case Literal(value, position):
                checked: Typed = Constant(value.content, value.data_type, position, value.scale)
            case Variable():
                checked = self.resolve(node)
            case Cast():
                checked = self._cast(self._node(node.operand), node.data_type, node.arguments, node.position)
            case Unary():
                checked = self._unary(node.operator, self._node(node.operand), node.position)
            case Binary():
                checked = self._chain(node)
            case Conditional():
                checked = self._conditional(node)
            case Call():
                checked = self._call(node)
        return checked

    def _chain(self, node: Binary) -> Typed:
        """Check a left-associative chain of operators, such as a + b + c, in a loop: it may be long."""
        chain = []
        first: Node = node
        while isinstance(first, Binary):
            chain.append(first)
            first = first.left
        left = self._node(first)
        for link in reversed(chain):
            left = self._binary(link.operator, left, self._node(link.right), link.position)
            if isinstance(left, Operation) and left.depth > MAX_DEPTH:
                raise self._error(link.position, f"More than {MAX_DEPTH} operators are nested")
        return left

    def _binary(self, operator: str, left: Typed, right: Typed, position: int) -> Typed:
        if operator in _LOGICAL:
            return self._logical(operator, left, right, position)
        if operator in _COMPARISONS:
            left, right = self._comparable(operator, left, right, position)
            return operation(_COMPARISONS[operator], (left, right), DataType.BOOL, position)
        kinds = {left.data_type, right.data_type}
        if operator == "+" and kinds <= TEXTS:
            return self._concatenation(left, right, position)
        common = common_number(left.data_type, right.data_type) if kinds <= NUMBERS else None
        if common is None or (operator not in _ARITHMETIC and common not in INTEGERS):
            raise self._mismatch(operator, left, right, position)
        operands = (convert(left, common), convert(right, common))
        if operator in _BITWISE:
            return operation(_BITWISE[operator], operands, common, position)
        if operator == "%":
            return operation("modulo", operands, common, position)
        result = DataType.NUMERIC if common is DataType.CY and operator in "*/" else common
        computed = operation(_ARITHMETIC[operator], operands, result, position)
        # Two DT_R4 give a DT_R4, computed in double precision here.
        return operation("dt_r4", (computed,), result, position) if result is DataType.R4 else computed

    def _concatenation(self, left: Typed, right: Typed, position: int) -> Typed:
        """Concatenate texts in one flat operation; flatten operands that are concatenations themselves."""
        kinds = {left.data_type, right.data_type}
        kind = DataType.WSTR
        if not kinds <= STRINGS:
            kind = DataType.NTEXT if DataType.NTEXT in kinds else DataType.TEXT
        parts = _parts(left) + _parts(right)
        if len(parts) > MAX_PARTS:
            raise self._error(position, f"More than {MAX_PARTS} texts are joined")
        return operation("concatenate", parts, kind, position)

    def _logical(self, operator: str, left: Typed, right: Typed, position: int) -> Typed:
        if {left.data_type, right.data_type} != {DataType.BOOL}:
            raise self._mismatch(operator, left, right, position)
        return operation(_LOGICAL[operator], (left, right), DataType.BOOL, position)

    def _comparable(self, operator: str, left: Typed, right: Typed, position: int) -> tuple[Typed, Typed]:
        """Convert two operands to one type whose values compare ("== (Equal) (SSIS Expression)")."""
        kinds = {left.data_type, right.data_type}
        if kinds <= NUMBERS:
            common = common_number(left.data_type, right.data_type)
            if common is not None:
                return convert(left, common), convert(right, common)
        elif kinds <= STRINGS:
            return retyped(left, DataType.WSTR), retyped(right, DataType.WSTR)
        elif kinds <= TIMES:
            common = DataType.DBTIME2 if DataType.DBTIME2 in kinds else DataType.DBTIME
            return retyped(left, common), retyped(right, common)
        elif kinds <= DATES:
            if len(kinds) == 1:
                return left, right
            common = next((kind for kind in _ORDER_OF_TIMESTAMPS if kind in kinds), DataType.DBTIMESTAMP)
            return self._as_date(left, common), self._as_date(right, common)
        elif len(kinds) == 1 and (operator in {"==", "!=", "?"}):
            return left, right
        raise self._mismatch(operator, left, right, position)

    def _as_date(self, node: Typed, kind: DataType) -> Typed:
        arguments = (7,) if kind in {DataType.DBTIMESTAMP2, DataType.DBTIMESTAMPOFFSET} else ()
        return self._cast(node, kind, arguments, node.position)

    def _unary(self, operator: str, operand: Typed, position: int) -> Typed:
        kind = operand.data_type
        if operator == "!" and kind is DataType.BOOL:
            return operation("logical_not", (operand,), kind, position)
        if operator == "~" and kind in INTEGERS:
            mask = Constant((1 << _BITS[kind]) - 1 if kind in UNSIGNED else -1, kind, position)
            return operation("bit_xor", (operand, mask), kind, position)
        if operator == "-" and kind in NUMBERS:
            # An unsigned type has no negative numbers.
            result = common_number(kind, DataType.I1) if kind in UNSIGNED else kind
            if result is not None:
                return operation("negate", (retyped(operand, result),), result, position)
        raise self._error(position, f"{operator} does not apply to {kind.value}")

    def _conditional(self, node: Conditional) -> Typed:
        condition, yes, no = self._node(node.condition), self._node(node.yes), self._node(node.no)
        if condition.data_type is not DataType.BOOL:
            reason = f"The operand before ? must be DT_BOOL, not {condition.data_type.value}"
            raise self._error(node.position, reason)
        if len({yes.data_type, no.data_type}) > 1:
            yes, no = self._comparable("?", yes, no, node.position)
        return operation(
            "conditional", (condition, yes, no), yes.data_type, node.position, scale=max(yes.scale, no.scale)
        )

    def _call(self, node: Call) -> Typed:
        name, position = node.function, node.position
        arguments = tuple(map(self._node, node.arguments))
        match name, arguments:
            case "GETDATE" | "GETUTCDATE", ():
                return self.now(name.lower(), position)
            case "ISNULL", (argument,):
                return operation("is_null", (argument,), DataType.BOOL, position)
            case "REPLACENULL", (argument, replacement):
                replacement = self._cast_like(replacement, argument)
                return operation("replace_null", (argument, replacement), argument.data_type, position)
            case "LEN", (argument,):
                return self._length(argument, position)
            case "HEX", (argument,):
                if argument.data_type not in INTEGERS:
                    raise self._error(position, f"HEX takes {Parameter.WHOLE.value}, not {argument.data_type.value}")
                bits = Constant(_BITS[argument.data_type], DataType.I4, position)
                return operation("hexadecimal", (argument, bits), DataType.WSTR, position)
        return self._call_by_signature(name, arguments, position)

    def _call_by_signature(self, name: str, arguments: tuple[Typed, ...], position: int) -> Typed:
        signature = SIGNATURES.get(name)
        expected = len(signature.parameters) if signature else _ARGUMENTS_OF_OTHERS.get(name)
        if expected is None:
            raise self._error(position, f"{name} is not a function of SSIS expressions")
        if signature is None or len(arguments) != expected:
            raise self._error(position, f"{name} takes {expected} arguments, not {len(arguments)}")
        operands = tuple(
            self._argument(name, argument, parameter)
            for argument, parameter in zip(arguments, signature.parameters, strict=True)
        )
        result = signature.result or operands[0].data_type
        return operation(signature.function, operands, result, position, width=signature.width)

    def _argument(self, function: str, argument: Typed, parameter: Parameter) -> Typed:
        kind, position = argument.data_type, argument.position
        if parameter is Parameter.PART and isinstance(argument, Constant) and isinstance(argument.content, str):
            try:
                return Constant(part_of(argument.content), DataType.WSTR, position)
            except ValueError as error:
                raise self._error(position, f"{function}: {error}") from None
        if parameter is Parameter.DATE and kind in STRINGS:
            return self._cast(argument, DataType.DBTIMESTAMP, (), position)
        if kind not in _ACCEPTED.get(parameter, ()):
            raise self._error(position, f"{function} takes {parameter.value} here, not {kind.value}")
        if parameter is Parameter.REAL:
            return convert(argument, DataType.R8)
        return retyped(argument, DataType.WSTR) if parameter is Parameter.TEXT else argument

    def _length(self, argument: Typed, position: int) -> Typed:
        if argument.data_type not in TEXTS:
            raise self._error(position, f"LEN takes {Parameter.TEXT.value}, not {argument.data_type.value}")
        length = operation("length", (argument,), DataType.I4, position)
        if argument.data_type is DataType.NTEXT:
            # "LEN (SSIS Expression)": of a BLOB the function counts bytes.
            return operation("multiply", (length, Constant(2, DataType.I4, position)), DataType.I4, position)
        return length

    def _cast_like(self, node: Typed, model: Typed) -> Typed:
        """Cast a value to the type of another node."""
        kind = model.data_type
        if kind in STRINGS and node.data_type in STRINGS:
            return retyped(node, kind)
        if kind in NUMBERS and node.data_type in NUMBERS and common_number(kind, node.data_type) is kind:
            return convert(node, kind)
        arguments = {
            DataType.STR: (4000, 1252),
            DataType.WSTR: (4000,),
            DataType.NUMERIC: (38, 0),
            DataType.DECIMAL: (0,),
        }
        return self._cast(node, kind, arguments.get(kind, (model.scale,)), node.position)

    def _cast(self, node: Typed, target: DataType, arguments: tuple[int, ...], position: int) -> Typed:
        try:
            return cast(node, target, arguments, position, lambda place: self.now("getdate", place))
        except NotCastable:
            raise self._error(position, f"SSIS has no cast from {node.data_type.value} to {target.value}") from None

    def _mismatch(self, operator: str, left: Typed, right: Typed, position: int) -> ExpressionError:
        kinds = f"{left.data_type.value} and {right.data_type.value}"
        return self._error(position, f"{operator} does not apply to {kinds}; cast them to the same type")

    def _error(self, position: int, reason: str) -> ExpressionError:
        return ExpressionError(self.expression.text, position, reason)


def _parts(node: Typed) -> tuple[Typed, ...]:
    return node.operands if isinstance(node, Operation) and node.function == "concatenate" else (node,)

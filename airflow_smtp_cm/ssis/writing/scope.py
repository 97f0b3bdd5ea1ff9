"""What the name of a variable or parameter means at a place in a package, and what becomes of it in a DAG."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions import (
    Binding,
    Expression,
    ExpressionError,
    Inline,
    Jinja,
    Untranslatable,
    VariableName,
    evaluate,
    parse,
)
from airflow_smtp_cm.ssis.expressions.system_variables import NAMES
from airflow_smtp_cm.ssis.model import Parameter, Variable
from airflow_smtp_cm.ssis.writing.names import Identifiers
from airflow_smtp_cm.ssis.writing.values import (
    PARAMETER_TYPES,
    VARIABLE_TYPES,
    json_type,
    json_value,
    read_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_smtp_cm.ssis.model import Package, Project

# Jinja's params.items is the method of that name.
_ATTRIBUTES_OF_PARAMS = ("copy", "dump", "get", "get_param", "items", "keys", "pop", "update", "validate", "values")

Source = Variable | Parameter


@dataclass(frozen=True, slots=True)
class Known:
    """A variable or parameter that can be named at a place.

    Attributes:
        place: where it belongs: ``ref_id`` of an executable or event handler, ``$Package`` or ``$Project``.
        source: what it is.
    """

    place: str
    source: Source

    @property
    def name(self) -> VariableName:
        """Its full name."""
        if isinstance(self.source, Variable):
            return VariableName(self.source.namespace, self.source.name)
        return VariableName(self.place, self.source.name)

    @property
    def data_type(self) -> DataType | None:
        """Its type; None if it is an object or another thing that no expression can use."""
        types = VARIABLE_TYPES if isinstance(self.source, Variable) else PARAMETER_TYPES
        return types.get(self.source.data_type)


@dataclass(frozen=True, slots=True)
class ParamOf:
    """A param of a DAG.

    Attributes:
        known: what it comes from.
        arguments: those of ``Param``, by name; ``default`` is missing where there is none.
    """

    known: Known
    arguments: dict[str, Any]


@dataclass(slots=True)
class Params:
    """The params of a DAG: only what its templates name.

    Attributes:
        by_name: the params.
        bound: what templates name, those among them that are not params but expressions.
        of_loops: full names of variables that a loop sets: what the file says of their values means nothing.
    """

    by_name: dict[str, ParamOf] = field(default_factory=dict)
    bound: dict[Known, None] = field(default_factory=dict)
    of_loops: frozenset[str] = frozenset()
    _names: Identifiers = field(default_factory=lambda: Identifiers(*_ATTRIBUTES_OF_PARAMS))
    _of: dict[tuple[str, VariableName], str] = field(default_factory=dict)

    def name_of(self, known: Known, data_type: DataType) -> str:
        """Return the name of the param for a variable or parameter, which from now on is one."""
        key = known.place, known.name
        if key not in self._of:
            name = known.source.name
            if name in self.by_name or name in _ATTRIBUTES_OF_PARAMS:
                name = f"{(known.name.namespace or '').lstrip('$')}_{name}"
            name = self._of[key] = self._names.take(name)
            self.by_name[name] = ParamOf(known, _arguments(known, data_type, stale=self.is_of_loop(known)))
        return self._of[key]

    def is_of_loop(self, known: Known) -> bool:
        """Return whether a loop sets it."""
        return (
            isinstance(known.source, Variable) and f"{known.source.namespace}::{known.source.name}" in self.of_loops
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """What can be named at a place.

    Attributes:
        known: variables and parameters, the innermost first.
        params: the DAG's params, which grow by what is bound.
        system: says what a system variable is there.
    """

    known: tuple[Known, ...]
    params: Params
    system: Callable[[str], Binding]

    @classmethod
    def of_project(cls, project: Project, params: Params, system: Callable[[str], Binding]) -> Scope:
        """Return what can be named everywhere in a project."""
        return cls(tuple(Known("$Project", parameter) for parameter in project.parameters), params, system)

    @classmethod
    def of_package(
        cls, project: Project, package: Package, params: Params, system: Callable[[str], Binding]
    ) -> Scope:
        """Return what can be named everywhere in a package, but for its own variables."""
        outer = cls.of_project(project, params, system)
        return replace(
            outer, known=(*(Known("$Package", parameter) for parameter in package.parameters), *outer.known)
        )

    def within(self, place: str, variables: tuple[Variable, ...]) -> Scope:
        """Return what can be named within an executable or event handler."""
        return replace(self, known=(*(Known(place, variable) for variable in variables), *self.known))

    def with_system(self, system: Callable[[str], Binding]) -> Scope:
        """Return the same with other system variables."""
        return replace(self, system=system)

    def find(self, name: VariableName) -> Known | None:
        """Return what a name means."""
        return next(self._named(name), None)

    def _named(self, name: VariableName) -> Iterator[Known]:
        for known in self.known:
            namespace = known.name.namespace
            if known.source.name == name.name and name.namespace in {None, namespace}:
                yield known

    def bind(self, name: VariableName) -> Binding:
        """Tell what a name becomes.

        Raises:
            Untranslatable: nothing is known of it, or its value is known at run time only.
        """
        known = self.find(name)
        if known is None:
            if name.namespace == "System" or (name.namespace is None and name.name in NAMES):
                return self.system(name.name)
            raise Untranslatable(str(name), 0, _not_there(name))
        self.params.bound[known] = None
        if isinstance(known.source, Variable) and known.source.expression:
            return Inline(self._expression_of(known))
        data_type = known.data_type
        if data_type is None or (isinstance(known.source, Variable) and known.source.value is None):
            raise Untranslatable(
                str(name), 0, f"{name} is no text, number, date or Boolean, so that no template has it"
            )
        param = self.params.name_of(known, data_type)
        return Jinja(f"params.{param}", data_type, iso_text=data_type is DataType.DATE)

    def constant(self, text: str) -> tuple[str, tuple[VariableName, ...]]:
        """Return what an expression yields with the values in the file, and whose values these are.

        Raises:
            ExpressionError: that is not possible.
            Untranslatable: an expression refers to itself.
        """
        expression = parse(text)
        content = self._evaluate(expression).content
        return "" if content is None else str(content), tuple(expression.variables)

    def _evaluate(self, expression: Expression) -> Value:
        # What depends on the clock is no fixed value anyway.
        return evaluate(expression, self._value, datetime.now())  # noqa: DTZ005 - GETDATE has no time zone

    def _value(self, name: VariableName) -> Value:
        known = self.find(name)
        if known:
            self.params.bound[known] = None
        if known and isinstance(known.source, Variable) and known.source.expression:
            return self._evaluate(self._expression_of(known))
        if known is None or known.data_type is None or known.source.value is None:
            raise KeyError(str(name))
        try:
            return read_value(known.source.value, known.data_type)
        except ValueError:
            raise KeyError(str(name)) from None

    def _expression_of(self, known: Known) -> Expression:
        """Return a variable's expression, in which it does not occur itself, by way of others neither."""
        first = _parsed(known)
        waiting, seen = [first], {known}
        while waiting:
            for name in waiting.pop().variables:
                other = self.find(name)
                if other == known:
                    raise Untranslatable(str(known.name), 0, f"The expression of {known.name} refers to itself")
                if other and other not in seen and isinstance(other.source, Variable) and other.source.expression:
                    seen.add(other)
                    waiting.append(_parsed(other))
        return first


def _not_there(name: VariableName) -> str:
    if name.namespace == "$Project":
        return (
            f"There is no {name} here: bring the package over together with its project, whose folder has the "
            f"Project.params, or as .ispac"
        )
    return f"There is no {name} here"


def _parsed(known: Known) -> Expression:
    assert isinstance(known.source, Variable)  # noqa: S101 - parameters have no expressions
    try:
        return parse(known.source.expression or "")
    except ExpressionError as error:
        raise Untranslatable(str(known.name), 0, f"The expression of {known.name} is none: {error}") from error


def _arguments(known: Known, data_type: DataType, *, stale: bool) -> dict[str, Any]:
    source = known.source
    arguments: dict[str, Any] = {}
    kind = json_type(data_type)
    # A deployed package does not start with the defaults of required parameters, either.
    stale = stale or (isinstance(source, Parameter) and (source.sensitive or source.required))
    if source.value is not None and not stale:
        try:
            arguments["default"] = json_value(read_value(source.value, data_type))
        except ValueError:
            arguments["default"], kind = source.value, "string"
    arguments["type"] = kind
    if data_type is DataType.DATE and kind == "string":
        arguments["format"] = "date-time"
    if isinstance(source, Parameter) and source.description:
        arguments["description"] = source.description
    return arguments

"""Resolves the names of variables and parameters at a place in a package, and converts them for the DAG."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_smtp_cm.macros.ssis.data_types import DataType, Value
from airflow_smtp_cm.ssis.expressions import (
    Binding,
    Constant,
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
from airflow_smtp_cm.ssis.writing.values import json_type, json_value, read_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_smtp_cm.ssis.model import Package, Project

# In Jinja, params.items is a method, so no param can be called items.
_ATTRIBUTES_OF_PARAMS = ("copy", "dump", "get", "get_param", "items", "keys", "pop", "update", "validate", "values")

Source = Variable | Parameter


@dataclass(frozen=True, slots=True)
class Known:
    """A variable or parameter that is visible at a place.

    Attributes:
        place: its owner: ``ref_id`` of an executable or event handler, ``$Package`` or ``$Project``.
        source: the variable or parameter.
    """

    place: str
    source: Source

    @property
    def name(self) -> VariableName:
        """Its full name."""
        if isinstance(self.source, Variable):
            return VariableName(self.source.namespace, self.source.name)
        return VariableName(self.place, self.source.name)


@dataclass(frozen=True, slots=True)
class ParamOf:
    """A param of a DAG.

    Attributes:
        known: the variable or parameter behind it.
        arguments: arguments of ``Param`` by name, without ``default`` if there is none.
    """

    known: Known
    arguments: dict[str, Any]


@dataclass(slots=True)
class Params:
    """The params of a DAG: only those that its templates use.

    The package's own parameters keep their names, whatever else becomes a param: other packages pass values to them.

    Attributes:
        parameter_names: the names of the params for the package's own parameters, by the parameter's name.
        by_name: the params.
        bound: variables and parameters that templates use, also those that are inlined and no params.
        of_loops: full names of variables that a loop sets; their stored values are meaningless.
        computed: Jinja expressions of params and items of loops, such as ``params.Rows``, whose text a template
            computes with: their line ends matter.
    """

    parameter_names: Mapping[str, str] = field(default_factory=dict)
    by_name: dict[str, ParamOf] = field(default_factory=dict)
    bound: dict[Known, None] = field(default_factory=dict)
    of_loops: frozenset[str] = frozenset()
    computed: set[str] = field(default_factory=set)
    _names: Identifiers = field(default_factory=lambda: Identifiers(*_ATTRIBUTES_OF_PARAMS))
    _of: dict[tuple[str, VariableName], str] = field(default_factory=dict)

    @classmethod
    def of_package(cls, package: Package, of_loops: frozenset[str]) -> Params:
        """Return the params of a package's DAG: none yet, but the names for its own parameters are taken."""
        names = Identifiers(*_ATTRIBUTES_OF_PARAMS)
        own = (one.name for one in package.parameters)
        by_parameter = {name: names.take(f"Package_{name}" if name in names else name) for name in own}
        return cls(by_parameter, of_loops=of_loops, _names=names)

    def name_of(self, known: Known, data_type: DataType) -> str:
        """Return the name of the param for a variable or parameter; add the param if it is new."""
        key = known.place, known.name
        if key not in self._of:
            name = known.source.name
            if known.place == "$Package":
                name = self.parameter_names.get(name, name)
            else:
                if name in self._names:
                    name = f"{(known.name.namespace or '').lstrip('$')}_{name}"
                name = self._names.take(name)
            self._of[key] = name
            self.by_name[name] = ParamOf(known, _arguments(known, data_type, stale=self.is_of_loop(known)))
        return self._of[key]

    def of_project(self) -> dict[str, str]:
        """Return the parameters of the project that are params, by the name of the param."""
        return {name: one.known.source.name for name, one in self.by_name.items() if one.known.place == "$Project"}

    def is_of_loop(self, known: Known) -> bool:
        """Return whether a loop sets the variable."""
        return (
            isinstance(known.source, Variable) and f"{known.source.namespace}::{known.source.name}" in self.of_loops
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that are visible at a place.

    Attributes:
        known: the visible variables and parameters, innermost first.
        params: the DAG's params; binding a name may add one.
        system: binds the name of a system variable.
        items: what the variables become that surrounding loops set to their items.
    """

    known: tuple[Known, ...]
    params: Params
    system: Callable[[str], Binding]
    items: Mapping[Known, Binding] = field(default_factory=dict)

    @classmethod
    def of_project(cls, project: Project, params: Params, system: Callable[[str], Binding]) -> Scope:
        """Return the scope of a project: its parameters."""
        return cls(tuple(Known("$Project", parameter) for parameter in project.parameters), params, system)

    @classmethod
    def of_package(
        cls, project: Project, package: Package, params: Params, system: Callable[[str], Binding]
    ) -> Scope:
        """Return the scope of a package, without its variables: its parameters and the project's."""
        outer = cls.of_project(project, params, system)
        return replace(
            outer, known=(*(Known("$Package", parameter) for parameter in package.parameters), *outer.known)
        )

    def within(self, place: str, variables: tuple[Variable, ...]) -> Scope:
        """Return the scope within an executable or event handler: its variables, then the outer names."""
        return replace(self, known=(*(Known(place, variable) for variable in variables), *self.known))

    def with_system(self, system: Callable[[str], Binding]) -> Scope:
        """Return the same scope with other system variables."""
        return replace(self, system=system)

    def with_items(self, items: Mapping[Known, Binding]) -> Scope:
        """Return the scope within a loop that sets variables to its items."""
        return replace(self, items={**self.items, **items})

    def find(self, name: VariableName) -> Known | None:
        """Return the variable or parameter that a name means; None if there is none."""
        return next(self._named(name), None)

    def _named(self, name: VariableName) -> Iterator[Known]:
        for known in self.known:
            namespace = known.name.namespace
            if known.source.name == name.name and name.namespace in {None, namespace}:
                yield known

    def bind(self, name: VariableName) -> Binding:
        """Return what a name becomes in a template.

        Raises:
            Untranslatable: the name is unknown, or no template can hold its value.
        """
        known = self.find(name)
        if known is None:
            if name.namespace == "System" or (name.namespace is None and name.name in NAMES):
                return self.system(name.name)
            raise Untranslatable(str(name), 0, _unknown(name))
        self.params.bound[known] = None
        if known in self.items:
            return self.items[known]
        if isinstance(known.source, Variable) and known.source.expression:
            return Inline(self._expression_of(known))
        data_type = known.source.data_type
        if data_type is None or (isinstance(known.source, Variable) and known.source.value is None):
            raise Untranslatable(
                str(name), 0, f"{name} is not a text, number, date or Boolean: no template can hold it"
            )
        param = self.params.name_of(known, data_type)
        return Jinja(f"params.{param}", data_type, iso_text=data_type is DataType.DATE)

    def constant(self, text: str) -> tuple[str, tuple[VariableName, ...]]:
        """Evaluate an expression with the stored values, or those of a loop's item.

        Returns:
            The result, and the names whose stored values it uses.

        Raises:
            ExpressionError: it cannot be evaluated.
            Untranslatable: an expression refers to itself.
        """
        expression = parse(text)
        content = self._evaluate(expression).content
        stored = (name for name in expression.variables if self.find(name) not in self.items)
        return "" if content is None else str(content), tuple(stored)

    def _evaluate(self, expression: Expression) -> Value:
        # The result of GETDATE is not constant in any case.
        return evaluate(expression, self._value, datetime.now())  # noqa: DTZ005 - GETDATE has no time zone

    def _value(self, name: VariableName) -> Value:
        known = self.find(name)
        if known:
            self.params.bound[known] = None
        if known and known in self.items:
            if isinstance(item := self.items[known], Constant):
                return item.value
            raise Untranslatable(str(name), 0, f"A loop sets {name}: it has no value before the loop runs")
        if known and isinstance(known.source, Variable) and known.source.expression:
            return self._evaluate(self._expression_of(known))
        if known is None or known.source.data_type is None or known.source.value is None:
            raise KeyError(str(name))
        try:
            return read_value(known.source.value, known.source.data_type)
        except ValueError:
            raise KeyError(str(name)) from None

    def _expression_of(self, known: Known) -> Expression:
        """Return a variable's expression; reject one that refers to the variable, directly or through others."""
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


def _unknown(name: VariableName) -> str:
    if name.namespace == "$Project":
        return (
            f"There is no {name} here: import the package together with its project: the folder with the "
            f"Project.params, or the .ispac"
        )
    return f"There is no {name} here"


def _parsed(known: Known) -> Expression:
    assert isinstance(known.source, Variable)  # noqa: S101 - parameters have no expressions
    try:
        return parse(known.source.expression or "")
    except ExpressionError as error:
        raise Untranslatable(str(known.name), 0, f"The expression of {known.name} is invalid: {error}") from error


def _arguments(known: Known, data_type: DataType, *, stale: bool) -> dict[str, Any]:
    source = known.source
    arguments: dict[str, Any] = {}
    kind = json_type(data_type)
    # A deployed package does not use the defaults of required parameters either.
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

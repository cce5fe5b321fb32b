"""What a host puts into the pages out of its own folder: templates, words, logo, icon and links."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import TemplateError

from twofold.errors import ConfigurationError
from twofold.web import languages, rendering

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from jinja2 import Environment


class Link(NamedTuple):
    """A way out, in the footer of every page. With `is_form` it is a button that posts, as signing out does.

    The label is looked up in the host's own catalogue. The form carries the field `csrf` that `read_form` asks for.
    """

    label: str
    address: str
    is_form: bool = False

    @property
    def said(self) -> str:
        """The label in the current language."""
        return languages.current().sentence(self.label)


@dataclass(frozen=True, slots=True)
class Look:
    """How the pages of one router look and speak. Raises ConfigurationError for what cannot be shown.

    `templates` is a folder, or a package with a folder `templates`; what is there comes before ours, and may extend
    ours as `twofold/layout.html`. `translations` is a folder of catalogues, `<tag>/LC_MESSAGES/twofold.po`.
    Style sheet, logo and icon are paths of this site, since nothing else is loaded by the pages.
    """

    stylesheet: str | None = None
    templates: str | Path | None = None
    translations: Path | None = None
    logo: str | None = None
    favicon: str | None = None
    links: Sequence[Link] = ()
    environment: Environment = field(init=False, repr=False)
    languages: languages.Languages = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("stylesheet", "logo", "favicon"):
            address = getattr(self, name)
            if address is not None and not is_of_this_site(address):
                raise ConfigurationError(f"{name} is {address!r}; give a path of this site, as /static/acme.svg.")
        for link in self.links:
            may_lead_away = not link.is_form and link.address.startswith(("https://", "http://", "mailto:", "tel:"))
            if not may_lead_away and not is_of_this_site(link.address):
                raise ConfigurationError(
                    f"The link {link.label!r} leads to {link.address!r}; give a path of this site"
                    f"{'' if link.is_form else ', or an address with https:// or mailto:'}."
                )
        folders = [] if self.translations is None else [self.translations]
        object.__setattr__(self, "languages", languages.Languages(*folders))
        object.__setattr__(self, "environment", self._environment())

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """Render a page. A name that the context lacks is an error, never an empty place."""
        return self.environment.get_template(template).render(context)

    def _environment(self) -> Environment:
        try:
            made = rendering.environment(*([] if self.templates is None else [self.templates]))
            # What cannot be read is said at the start, not to the first person who comes.
            for name in rendering.environment().list_templates():
                made.get_template(name)
        except (TemplateError, ValueError, ImportError) as problem:
            raise ConfigurationError(f"The templates of {self.templates} cannot be used: {problem}") from problem
        made.globals |= {
            "stylesheet": self.stylesheet,
            "logo": self.logo,
            "favicon": self.favicon,
            "links": tuple(self.links),
        }
        return made


def is_of_this_site(address: str) -> bool:
    """Whether an address is a path that a browser takes as one of this site."""
    # Browsers leave tabs and line breaks out, and read a backslash as a slash: `/\t/` would lead to another host.
    return address.startswith("/") and not address.startswith("//") and address.isprintable() and "\\" not in address

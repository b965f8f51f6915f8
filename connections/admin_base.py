"""The admin page of a tenant's rows: scoped everywhere Django's admin could show or take another merchant's.

Between the shell and every ModelAdmin of all floors.
"""

from typing import Any

from django.contrib.admin import FieldListFilter, SimpleListFilter
from django.contrib.admin.options import ModelAdmin as PlainModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Field, ForeignKey, ManyToManyField, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.text import capfirst
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from connections import audit
from connections.page import page
from connections.tenancy import Permission, may_anywhere, merchant_of, merchant_road, merchants_of, merchants_where, own


class TenantAdmin(ModelAdmin):
    """Rows of the person's own merchants. Reading needs "read"; adding and changing need `edit_permission`."""

    edit_permission: Permission | None = "configure"  # None: nobody edits here
    show_full_result_count = False
    paginator = InfinitePaginator
    list_disable_select_all = True
    actions = None
    list_fullwidth = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return own(super().get_queryset(request), request.user)

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = _choices(self, db_field, request, kwargs.get("queryset"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: ManyToManyField, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = _choices(self, db_field, request, kwargs.get("queryset"))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_anywhere(request.user, "read")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "read", obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.edit_permission is not None and self.may(request, self.edit_permission)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.edit_permission is not None and self.may(request, self.edit_permission, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # rows are archived; what was sent must stay explainable

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """A list is called what it holds, not what one could do with it."""
        title = {"title": capfirst(self.opts.verbose_name_plural)}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Our own record of who changed what, instead of Django's."""
        obj = self.get_object(request, object_id)
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        return page(request, "object_history.html", title=f"{obj}: history", entries=audit.history(obj)[:200])

    def may(self, request: HttpRequest, permission: Permission, obj: Any = None) -> bool:
        """Whether the person may do this to the row, or without one, at any merchant at all."""
        if obj is None:
            return may_anywhere(request.user, permission)
        allowed = merchants_where(request.user, permission)
        row = obj if isinstance(obj, Model) else self.get_queryset(request).filter(pk=obj).first()  # Unfold passes ids
        merchant = merchant_of(row) if row is not None else None
        return merchant is not None and allowed.filter(pk=merchant.pk).exists()


class MerchantFilter(SimpleListFilter):
    """Narrows a list to one of the person's merchants by `?merchant=slug`; absent for people of a single one."""

    title = "merchant"
    parameter_name = "merchant"

    def lookups(self, request: HttpRequest, model_admin: PlainModelAdmin) -> list[tuple[str, str]]:
        return list(merchants_of(request.user).values_list("slug", "name"))

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(
            **{f"{merchant_road(queryset.model)}__in": merchants_of(request.user).filter(slug=self.value())}
        )


def own_related(title: str) -> type[FieldListFilter]:
    """A sidebar filter by a related row, offering the person's own rows only: ("connection", own_related("…"))."""

    class OwnRelated(RelatedRows):
        pass

    OwnRelated.words = title
    return OwnRelated


class RelatedRows(FieldListFilter):
    """Choices are the related rows of the person's merchants; any other id selects nothing."""

    words = ""

    def __init__(
        self,
        field: Field,
        request: HttpRequest,
        params: dict[str, Any],
        model: type[Model],
        model_admin: PlainModelAdmin,
        field_path: str,
    ) -> None:
        self.lookup_kwarg = f"{field_path}__id__exact"
        super().__init__(field, request, params, model, model_admin, field_path)
        self.title = self.words or self.title
        self.chosen = (self.used_parameters.get(self.lookup_kwarg) or [""])[0]
        self.rows = list(own(field.related_model._default_manager.all(), request.user)[:200])

    def expected_parameters(self) -> list[str]:
        return [self.lookup_kwarg]

    def has_output(self) -> bool:
        return len(self.rows) > 1

    def choices(self, changelist: Any) -> Any:
        yield {
            "selected": not self.chosen,
            "query_string": changelist.get_query_string(remove=[self.lookup_kwarg]),
            "display": "All",
        }
        for row in self.rows:
            yield {
                "selected": str(row.pk) == str(self.chosen),
                "query_string": changelist.get_query_string({self.lookup_kwarg: row.pk}),
                "display": str(row),
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.chosen:
            return queryset
        allowed = [row.pk for row in self.rows if str(row.pk) == str(self.chosen)]
        return queryset.filter(**{f"{self.field_path}__in": allowed})


def _choices(page: TenantAdmin, db_field: Any, request: HttpRequest, given: QuerySet[Any] | None) -> QuerySet[Any]:
    """What a field may be set to. A posted foreign id fails validation, because it is not among these."""
    rows = given if given is not None else db_field.remote_field.model._default_manager.all()
    return own(rows, request.user)

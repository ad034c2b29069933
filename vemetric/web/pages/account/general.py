"""/account: name, picture, and the end of the account."""

import msgspec
from aiohttp import web

from vemetric import errors
from vemetric.accounts import pictures, profile
from vemetric.web import context, cookies, forms, render
from vemetric.web.pages import confirm, shell
from vemetric.web.pages.confirm import Question

AREA = "general"


class Name(msgspec.Struct, frozen=True):
    """The form of the name."""

    name: str


class Typed(msgspec.Struct, frozen=True):
    """What was typed to confirm, and the password."""

    typed: str
    password: str


async def show(request: web.Request) -> web.Response:
    return await _page(request, Name(context.of(request).signed_in.name), {})


async def save(request: web.Request) -> web.Response:
    """POST /account: the name."""
    page, form = context.of(request), await forms.read(request, Name)
    try:
        await profile.rename(page.services.database, page.services.clock, page.signed_in.id, form.name)
    except errors.Invalid as error:
        return await _page(request, form, error.fields)
    return render.redirect("/account?saved=1")


async def save_picture(request: web.Request) -> web.Response:
    """POST /account/picture: a file of a form."""
    page = context.of(request)
    services, account = page.services, page.signed_in
    try:
        image = await pictures.take(services.pictures, await forms.posted_file(request, "picture"))
    except errors.Invalid as error:
        return await _page(request, Name(account.name), error.fields)
    await _set_picture(request, image)
    return render.redirect("/account?saved=1")


async def remove_picture(request: web.Request) -> web.Response:
    """POST /account/picture/remove"""
    await _set_picture(request, None)
    return render.redirect("/account?saved=1")


async def ask_to_delete(request: web.Request) -> web.Response:
    """GET /account/delete"""
    return await _delete_page(request, {})


async def delete(request: web.Request) -> web.Response:
    """POST /account/delete: with the password, or by a fresh login where there is none."""
    page, form = context.of(request), await forms.read(request, Typed)
    services, account = page.services, page.signed_in
    if page.login is None:
        raise errors.Unauthorized
    if not confirm.is_typed(_question(account.email), form.typed):
        return await _delete_page(request, {"typed": "This is not your address."})
    try:
        await profile.prove(services.database, services.keys, services.clock, account, page.login, form.password)
        await profile.delete(services.database, account)
    except errors.Invalid as error:
        return await _delete_page(request, error.fields)
    except (errors.Conflict, errors.Forbidden) as error:
        return await _delete_page(request, {"typed": error.message})
    if account.image is not None:
        await pictures.forget(services.pictures, services.post, account.image)
    response = render.redirect("/login")
    cookies.forget_login(response, page.is_secure)
    return response


async def _set_picture(request: web.Request, image: str | None) -> None:
    page = context.of(request)
    services = page.services
    before = await profile.set_image(services.database, services.clock, page.signed_in.id, image)
    if before is not None:
        await pictures.forget(services.pictures, services.post, before)


def _question(email: str) -> Question:
    return Question(
        "Delete your account",
        (
            "Your name, address, picture, logins and memberships are erased. Projects belong to their organization and "
            "stay. This cannot be undone.",
        ),
        "Delete my account",
        "/account",
        email,
        "Your e-mail address",
    )


async def _delete_page(request: web.Request, problems: dict[str, str]) -> web.Response:
    page = context.of(request)
    account = page.signed_in
    return render.page(
        request,
        "pages/account/delete.html",
        status=400 if problems else 200,
        question=_question(account.email),
        form={"typed": "", "password": ""},
        problems=problems,
        has_password=await profile.has_password(page.services.database, account.id),
        **await shell.values(request, None, "account"),
    )


async def _page(request: web.Request, form: Name, problems: dict[str, str]) -> web.Response:
    return render.page(
        request,
        "pages/account/general.html",
        status=400 if problems else 200,
        form=form,
        problems=problems,
        is_saved="Saved." if "saved" in request.query and not problems else "",
        megabytes=pictures.BYTES_MAX // 1_000_000,
        **await shell.account_settings(request, AREA),
    )

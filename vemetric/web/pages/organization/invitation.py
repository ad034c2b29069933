"""GET and POST /invite/<token>: the page behind an invitation's link, and its acceptance."""

from aiohttp import web

from vemetric import errors
from vemetric.accounts import invitations, signup
from vemetric.web import context, render


async def show(request: web.Request) -> web.Response:
    """Where the link leads, for anybody who has it; how to go on, by whether one is signed in."""
    return await _page(request)


async def accept(request: web.Request) -> web.Response:
    """Come in."""
    page, token = context.of(request), request.match_info["token"]
    services = page.services
    try:
        organization = await invitations.accept(services.database, services.clock, token, page.signed_in)
    except errors.Conflict as error:
        return await _page(request, error.message)
    except errors.NotFound:
        return await _page(request)
    return render.redirect(f"/o/{organization.id}")


async def _page(request: web.Request, problem: str = "") -> web.Response:
    services, token = context.of(request).services, request.match_info["token"]
    invited = await invitations.by_token(services.database, services.clock, token)
    status = 404 if invited is None else 409 if problem else 200
    return render.page(
        request,
        "pages/organization/invitation.html",
        status=status,
        invited=invited,
        token=token,
        problem=problem,
        may_sign_up=signup.is_open(services.config.sign_up, invited is not None),
    )

"""GitHub's own description of its API, and a server on loopback that holds each request against it.

The description is fetched by npm once and cut to the few paths that we use: it is others' work and not kept here.
"""

import json
import re
import socket
import tarfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from integration.npm import packed
from openapi_schema_validator import OAS30Validator
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

PACKAGE: Final = "@octokit/openapi@23.0.2"
CACHE: Final = Path(__file__).parents[2] / "build" / "github-api.json"
_FILE: Final = "package/generated/api.github.com.deref.json"
_REPOSITORY: Final = "/repos/{owner}/{repo}"
PATHS: Final = tuple(
    _REPOSITORY + path
    for path in (
        *("/check-runs", "/check-runs/{check_run_id}", "/commits/{ref}/check-runs"),
        *("/contents/{path}", "/git/trees", "/git/commits", "/git/refs"),
    )
)
FIELDS: Final = {"message": "", "documentation_url": "https://docs.github.com/rest"}


def description() -> dict[str, Any]:
    """The paths that we use; skips the test where there is no npm to fetch them with."""
    if not CACHE.exists():
        [archive] = packed([PACKAGE], CACHE.parent, "the description of GitHub's API")
        with tarfile.open(archive) as package:
            file = package.extractfile(_FILE)
            assert file
            paths = json.load(file)["paths"]
        archive.unlink()
        CACHE.write_text(json.dumps({path: paths[path] for path in PATHS}))
    return json.loads(CACHE.read_text())


Answer = Callable[[Request], Response]


@dataclass
class GitHub:
    """A GitHub that knows check runs, one data branch, and how to fail. ``invalid`` must stay empty."""

    api: dict[str, Any]
    prefix: str = ""
    base: str = ""
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    check_runs: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    faults: list[tuple[str, str, Answer]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    # --- what a test asks for

    def fail(self, method: str, path: str, *answers: Answer) -> None:
        """Answer the next requests of this kind so, one after the other."""
        self.faults += [(method, path, answer) for answer in answers]

    def sent(self, method: str) -> list[dict[str, Any]]:
        """The bodies of all requests with this method."""
        return [body for each, _, body in self.requests if each == method]

    # --- the server

    def __call__(self, request: Request) -> Response:
        self.tokens.add(request.headers.get("Authorization", ""))
        self.base = request.host_url.rstrip("/") + self.prefix
        path = request.path.removeprefix(self.prefix)
        body = request.get_json(silent=True) or {}
        template = self._check(request.method, path, body, dict(request.args))
        self.requests.append((request.method, path, body))
        for number, (method, part, answer) in enumerate(self.faults):
            if method == request.method and part in path:
                del self.faults[number]
                return answer(request)
        return self._answer(request.method, template, path, body)

    def _check(self, method: str, path: str, body: dict[str, Any], query: dict[str, str]) -> str:
        for template, item in self.api.items():
            pattern = re.sub(r"\\{path\\}", ".+", re.escape(template))
            if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", pattern), path) and method.lower() in item:
                self._validate(item[method.lower()], f"{method} {path}", body, query)
                return template
        self.invalid.append(f"{method} {path}: not in the description")
        return ""

    def _validate(self, operation: dict[str, Any], what: str, body: dict[str, Any], query: dict[str, str]) -> None:
        known = {one["name"]: one["schema"] for one in operation.get("parameters", []) if one["in"] == "query"}
        for name, text in query.items():
            if name not in known:
                self.invalid.append(f"{what}: no query parameter {name}")
            elif "enum" in known[name] and text not in known[name]["enum"]:
                self.invalid.append(f"{what}: {name}={text}")
        if content := operation.get("requestBody", {}).get("content"):
            schema = content["application/json"]["schema"]
            checker = OAS30Validator.FORMAT_CHECKER
            for error in OAS30Validator(schema, format_checker=checker).iter_errors(body):
                self.invalid.append(f"{what}: {error.json_path}: {error.message[:200]}")
            if unknown := body.keys() - schema.get("properties", {}).keys():
                self.invalid.append(f"{what}: unknown {unknown}")
        elif body:
            self.invalid.append(f"{what}: has a body")

    def _example(self, template: str, method: str, status: str) -> Any:
        content = self.api[template][method]["responses"][status]["content"]["application/json"]
        return deepcopy(next(iter(content["examples"].values()))["value"])

    def _answer(  # noqa: PLR0911 - one line for each request
        self, method: str, template: str, path: str, body: dict[str, Any]
    ) -> Response:
        match method, template.removeprefix(_REPOSITORY):
            case "POST", "/check-runs":
                return self._new_check_run(path, body)
            case "PATCH", _:
                return self._update(path, body)
            case "GET", "/check-runs/{check_run_id}":
                return reply(200, self._run(path))
            case "GET", "/commits/{ref}/check-runs":
                sha = path.split("/")[-2]
                runs = [run for run in self.check_runs if run["head_sha"] == sha]
                return reply(200, {"total_count": len(runs), "check_runs": runs})
            case "POST", "/git/trees":
                return reply(201, {**self._example(template, "post", "201"), "tree": body["tree"]})
            case "POST", "/git/commits":
                return reply(201, self._example(template, "post", "201"))
            case "POST", "/git/refs":
                return self._new_branch(body)
            case _:
                return self._contents(method, path, body)

    def _new_check_run(self, path: str, body: dict[str, Any]) -> Response:
        run = self._example(f"{_REPOSITORY}/check-runs", "post", "201")
        number = len(self.check_runs) + 1
        run |= {key: value for key, value in body.items() if key != "output"}
        run |= {"id": number, "url": f"{self.base}{path}/{number}"}
        run |= {"html_url": f"https://github.com/org/app/runs/{number}", "annotations": []}
        run["output"] |= {"annotations_count": 0, "title": body["output"]["title"]}
        self.check_runs.append(run)
        return reply(201, run)

    def _run(self, path: str) -> dict[str, Any]:
        return self.check_runs[int(path.rsplit("/", 1)[1]) - 1]

    def _update(self, path: str, body: dict[str, Any]) -> Response:
        run = self._run(path)
        run |= {key: value for key, value in body.items() if key != "output"}
        run["annotations"] += body.get("output", {}).get("annotations", [])
        run["output"] |= {key: value for key, value in body.get("output", {}).items() if key != "annotations"}
        run["output"]["annotations_count"] = len(run["annotations"])
        return reply(200, run)

    def _new_branch(self, body: dict[str, Any]) -> Response:
        name = body["ref"].removeprefix("refs/heads/")
        if name in self.files:
            return refused(422, "Reference already exists")
        tree = next(sent for method, path, sent in reversed(self.requests) if path.endswith("/git/trees"))
        self.files[name] = {one["path"]: one["content"] for one in tree["tree"]}
        return reply(201, self._example(f"{_REPOSITORY}/git/refs", "post", "201"))

    def _contents(self, method: str, path: str, body: dict[str, Any]) -> Response:
        import base64

        name = path.split("/contents/")[1]
        if method == "GET":
            text = next((files[name] for files in self.files.values() if name in files), None)
            if text is None:
                return refused(404, "Not Found")
            found = {"name": name, "path": name, "type": "file", "sha": "f" * 40, "encoding": "base64"}
            return reply(200, {**found, "content": base64.b64encode(text.encode()).decode()})
        branch = self.files.get(body["branch"])
        if branch is None:
            return refused(404, f"Branch {body['branch']} not found")
        if name in branch and "sha" not in body:
            return refused(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
        branch[name] = base64.b64decode(body["content"]).decode()
        return reply(201, self._example(f"{_REPOSITORY}/contents/{{path}}", "put", "201"))


def reply(status: int, document: Any, **headers: str) -> Response:
    return Response(json.dumps(document), status, headers, content_type="application/json")


def refused(status: int, message: str, **headers: str) -> Response:
    return reply(status, {**FIELDS, "message": message}, **headers)


def refusing(status: int, message: str, **headers: str) -> Answer:
    return lambda _request: refused(status, message, **headers)


def cut(request: Request) -> Response:
    """End the connection without an answer."""
    request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    return Response()


def serve(server: HTTPServer, prefix: str = "") -> GitHub:
    github = GitHub(description(), prefix)
    server.expect_request(re.compile(r"/.*")).respond_with_handler(github)
    return github

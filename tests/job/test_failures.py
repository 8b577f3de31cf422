"""What is tried again, what is not, what a failure says, and what it never says."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.certificate import make_certificate
from support.s3 import Bucket
from support.storage_front import Answer, Answering, Seen, faulty_server, in_turn, s3_error
from support.tools import require_tool
from support.wrapper import TRANSPORTS, Ended, Job, make_image, result_of

pytestmark = [pytest.mark.sampled("job"), pytest.mark.thorough]

SECRET = "f00dfeedc0ffee"
QUERY = f"?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={SECRET}"
FIELDS = {"policy": f"cG9saWN5{SECRET}", "x-amz-signature": SECRET}
EXPIRED = s3_error(
    "AccessDenied",
    "Request has expired",
    f"<SignatureProvided>{SECRET}</SignatureProvided><Resource>/x{QUERY}</Resource>",
)
RESULT = b"_perian/result.json"


@pytest.fixture(params=TRANSPORTS)
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Job]:
    """A job in each kind of image. Its signatures must not appear in its log, whatever happens."""
    job = Job(tmp_path, make_image(tmp_path, request.param))
    yield job
    assert job.ends
    for ended in job.ends:
        assert SECRET not in ended.out + ended.err
    assert job.left_behind() == []


def download_from(job: Job, behave: Answering) -> tuple[Ended, int]:
    """Run a job that downloads one file; how it ended, and how many requests there were."""
    with faulty_server(behave) as server:
        job.add("get", job.work / "in", f"{server.url}/a/b{QUERY}")
        ended = job.run("/bin/echo", "ran")
    return ended, len(server.seen)


def upload_to(job: Job, behave: Answering, script: str, *, unread: bool = False) -> Ended:
    with faulty_server(behave, refuse_unread=unread) as server:
        job.add("output", "x", job.work / "x")
        job.post_with(f"{server.url}/bucket{QUERY}", FIELDS)
        return job.shell(script)


@pytest.mark.every_variant
def test_a_server_error_is_tried_again(job: Job) -> None:
    unwell = Answer(500, s3_error("InternalError", "We encountered an internal error."))

    ended, requests = download_from(job, in_turn(unwell, unwell, Answer(body=b"content")))

    assert (ended.code, ended.out, requests) == (0, "ran\n", 3)
    assert (job.work / "in").read_bytes() == b"content"
    assert "HTTP status 500" in ended.err
    assert "attempt 2 of 4" in ended.err


def test_after_four_attempts_a_download_has_failed(job: Job) -> None:
    ended, requests = download_from(job, lambda _: Answer(503))

    assert (ended.code, ended.out, requests) == (65, "", 4)
    last = ended.err.splitlines()[-1]
    assert f"could not download {job.work}/in from http://localhost:" in last
    assert "/a/b: HTTP status 503" in last
    assert last.endswith("exit code 65")


def test_a_refused_download_is_not_tried_again(job: Job) -> None:
    ended, requests = download_from(job, lambda _: Answer(403, EXPIRED))

    assert (ended.code, ended.out, requests) == (65, "", 1)
    assert "HTTP status 403" in ended.err
    if job.image.transport != "busybox":  # its wget hides the body
        assert "AccessDenied: Request has expired" in ended.err
    assert list(job.work.iterdir()) == []


def test_a_web_page_as_error_is_reduced_to_its_head(job: Job) -> None:
    page = b"<html><h1>Proxy says no</h1>" + b"<p>bla</p>" * 10_000 + b"</html>"

    ended, _ = download_from(job, lambda _: Answer(407, page))

    assert "HTTP status 407" in ended.err
    assert len(ended.err) < 1000
    if job.image.transport != "busybox":
        assert "Proxy says no" in ended.err


@pytest.mark.every_variant
def test_half_a_file_is_tried_again_and_never_seen(job: Job) -> None:
    half = Answer(body=b"half", announced=1000)

    ended, requests = download_from(job, lambda _: half)

    assert (ended.code, requests) == (65, 4)
    assert list(job.work.iterdir()) == []


def test_a_redirect_of_a_download_is_followed(job: Job) -> None:
    def behave(seen: Seen) -> Answer:
        if seen.path.startswith("/a/b"):
            return Answer(302, headers={"Location": "/elsewhere"})
        return Answer(body=seen.path.encode())

    ended, _ = download_from(job, behave)

    assert ended.code == 0
    assert (job.work / "in").read_bytes() == b"/elsewhere"


def test_an_address_where_nobody_listens_is_named(job: Job) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        job.add("get", job.work / "in", f"http://127.0.0.1:{port}/x{QUERY}")
        ended = job.run("/bin/true")

    assert ended.code == 65
    assert f"http://127.0.0.1:{port}/x" in ended.err
    assert "refused" in ended.err or "Failed to connect" in ended.err


def test_a_target_that_is_a_directory_is_an_error(job: Job) -> None:
    (job.work / "in").mkdir()

    ended, _ = download_from(job, lambda _: Answer(body=b"content"))

    assert ended.code == 65
    assert "there is a directory of that name" in ended.err


def test_a_failed_download_leaves_a_result(job: Job, bucket: Bucket) -> None:
    job.post_to(bucket)

    ended, _ = download_from(job, lambda _: Answer(404))

    assert ended.code == 65
    result = result_of(bucket)
    assert result["exit_code"] == 65
    assert "could not download" in str(result["problem"])
    assert SECRET not in str(result)


@pytest.mark.every_variant
def test_an_upload_is_tried_again(job: Job) -> None:
    ended = upload_to(job, in_turn(Answer(500), Answer(500), Answer(204)), 'echo 1 >"$1/x"')

    assert ended.code == 0


@pytest.mark.every_variant
def test_a_refused_upload_is_66(job: Job) -> None:
    with_policy = Answer(403, s3_error("AccessDenied", "Policy expired.", f"<A>{SECRET}</A>"))

    ended = upload_to(job, lambda _: with_policy, 'echo 1 >"$1/x"')

    assert ended.code == 66
    assert "HTTP status 403 (AccessDenied: Policy expired.)" in ended.err
    assert f"could not upload {job.work}/x to http://localhost:" in ended.err


def test_after_a_failed_upload_the_result_says_so(job: Job) -> None:
    results = []

    def behave(seen: Seen) -> Answer:
        if RESULT in seen.body:
            results.append(seen.body)
            return Answer(204)
        return Answer(403, s3_error("AccessDenied", "Not this key."))

    ended = upload_to(job, behave, 'echo 1 >"$1/x"')

    assert ended.code == 66
    (result,) = results
    assert b'"exit_code": 66' in result
    assert b"Not this key." in result


# A broken pipe hides the answer from GNU wget and busybox nc.
@pytest.mark.parametrize("transport", ["python3", "curl"])
def test_a_large_upload_that_is_refused_at_once_says_why(tmp_path: Path, transport: str) -> None:
    job = Job(tmp_path, make_image(tmp_path, transport))
    no = Answer(403, s3_error("AccessDenied", "Policy expired."))

    ended = upload_to(job, lambda _: no, 'head -c 30000000 /dev/zero >"$1/x"', unread=True)

    assert ended.code == 66
    assert "Policy expired." in ended.err


def test_the_commands_exit_code_goes_before_a_failed_upload(job: Job) -> None:
    ended = upload_to(job, lambda _: Answer(403), "exit 3")

    assert ended.code == 3
    assert "no result was left" in ended.err


def test_a_name_with_a_control_character_is_an_error_that_names_it(
    job: Job, bucket: Bucket
) -> None:
    job.add("output", "x", job.work / "x")
    job.post_to(bucket)

    ended = job.shell('mkdir "$1/x"; : >"$1/x/fine"; : >"$(printf "$1/x/new\\nline")"')

    assert ended.code == 66
    assert "output x: a name has a control character" in ended.err
    assert "new line" in ended.err
    assert bucket.keys() == {"run/_perian/result.json"}


@pytest.mark.parametrize(
    "make",
    [
        'ln -s nowhere "$1/x/d/odd"',
        'mkfifo "$1/x/d/odd"',
        'ln -s /proc/version "$1/x/d/odd"',
        'ln -s odd "$1/x/d/odd"',
    ],
    ids=["dangling link", "FIFO", "link to /proc", "link to itself"],
)
def test_what_is_neither_file_nor_directory_is_an_error_wherever_it_lies(
    job: Job, bucket: Bucket, make: str
) -> None:
    if "/proc" in make and job.image.transport != "python3":
        (job.image.path / "readlink").symlink_to(require_tool("readlink"))
    job.add("output", "x", job.work / "x")
    job.post_to(bucket)

    ended = job.shell(f'mkdir -p "$1/x/d"; echo 1 >"$1/x/f"; {make}')

    assert ended.code == 66
    problem = f"output x: {job.work}/x/d/odd is neither a file nor a directory"
    assert result_of(bucket)["problem"] == problem
    assert bucket.keys("run/outputs/") == set()


LOOPS = {
    "to itself": ('ln -s . "$1/x/loop"', {"f", "d/g"}, {"loop"}),
    "to what it is in": ('ln -s .. "$1/x/d/up"', {"f", "d/g"}, {"d/up"}),
    "by two links": (
        'mkdir "$1/x/e"; echo 1 >"$1/x/e/h"; ln -s ../e "$1/x/d/to-e"; ln -s ../d "$1/x/e/to-d"',
        {"f", "d/g", "d/to-e/h", "e/h", "e/to-d/g"},
        {"d/to-e/to-d", "e/to-d/to-e"},
    ),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_links_in_a_circle_are_cut_and_named(job: Job, bucket: Bucket, loop: str) -> None:
    make, files, cut = LOOPS[loop]
    job.add("output", "x", job.work / "x")
    job.post_to(bucket)

    ended = job.shell(f'mkdir -p "$1/x/d"; echo 1 >"$1/x/f"; echo 2 >"$1/x/d/g"; {make}')

    assert ended.code == 0, ended.err
    assert bucket.keys("run/outputs/") == {f"run/outputs/x/{name}" for name in files}
    named = re.findall(r"left out, as it leads back to what it is in: (.*)", ended.err)
    assert {name.removeprefix(f"{job.work}/x/") for name in named} == cut


def test_a_link_to_a_directory_elsewhere_is_followed(job: Job, bucket: Bucket) -> None:
    job.add("output", "x", job.work / "x")
    job.post_to(bucket)

    ended = job.shell(
        'mkdir -p "$1/x/ckpt-100/deep" "$1/far"; echo 1 >"$1/x/ckpt-100/f"; echo 2 >"$1/far/g"'
        ' && ln -s ckpt-100 "$1/x/latest"; ln -s "$1/far" "$1/x/far"; ln -s ../far/g "$1/x/link"'
    )

    assert ended.code == 0, ended.err
    assert bucket.keys("run/outputs/x/") == {
        f"run/outputs/x/{name}"
        for name in ("ckpt-100/f", "ckpt-100/deep/", "latest/f", "latest/deep/", "far/g", "link")
    }


@pytest.mark.parametrize(("changes", "code"), [(1, 0), (1000, 66)], ids=["once", "always"])
def test_a_file_that_is_written_to_while_it_is_uploaded_is_uploaded_again(
    job: Job, changes: int, code: int
) -> None:
    output = job.work / "x"
    output.write_bytes(b"1")
    uploads: list[int] = []

    def write_meanwhile(seen: Seen) -> Answer:
        if RESULT not in seen.body:
            uploads.append(1)
            if len(uploads) <= changes:
                output.write_bytes(b"1" * (len(uploads) + 1))
        return Answer(204)

    with faulty_server(write_meanwhile) as server:
        job.add("output", "x", output)
        job.post_with(f"{server.url}/b", {})
        ended = job.run("/bin/true")

    assert ended.code == code, ended.err
    assert "it was written to while it was uploaded: is something still running?" in ended.err
    assert len(uploads) == (2 if code == 0 else 4)


def test_who_still_writes_to_an_output_is_named(tmp_path: Path, bucket: Bucket) -> None:
    job = Job(tmp_path, make_image(tmp_path, "python3"))
    job.add("output", "x", job.work / "x")
    job.post_to(bucket)
    with (job.work / "x").open("wb"):  # by this process
        ended = job.run("/bin/true")
    assert ended.code == 0
    assert f"process {os.getpid()} still writes to {job.work}/x" in ended.err


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_https_carries_both_ways(tmp_path: Path, transport: str, shell: str) -> None:
    certificate = make_certificate(tmp_path)
    job = Job(tmp_path, make_image(tmp_path, transport, shell))
    settings = tmp_path / "wgetrc"
    settings.write_text(f"ca_certificate = {certificate.file}\n")
    job.environment = {
        "SSL_CERT_FILE": str(certificate.file),
        "CURL_CA_BUNDLE": str(certificate.file),
        "WGETRC": str(settings),
    }
    content = os.urandom(300_000)

    def behave(seen: Seen) -> Answer:
        return Answer(body=content) if seen.method == "GET" else Answer(204)

    with faulty_server(behave, tls=certificate.context) as server:
        job.add("get", job.work / "in", server.url + "/in")
        job.add("output", "x", job.work / "in")
        job.post_with(server.url + "/bucket", {"policy": "p"})
        ended = job.run("/bin/true")

    assert ended.code == 0, ended.err
    assert (job.work / "in").read_bytes() == content
    assert content in server.seen[1].body


@pytest.mark.parametrize("transport", ["python3", "curl", "wget"])
def test_a_certificate_that_is_not_trusted_is_refused_with_a_hint(
    tmp_path: Path, transport: str
) -> None:
    certificate = make_certificate(tmp_path)
    job = Job(tmp_path, make_image(tmp_path, transport))

    with faulty_server(lambda _: Answer(), tls=certificate.context) as server:
        job.add("get", job.work / "in", server.url + "/in")
        ended = job.run("/bin/true")

    assert ended.code == 65
    assert server.seen == []
    assert "does the image have ca-certificates?" in ended.err

# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to a bucket are signed as its provider checks them, and every refusal says what to mend."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._s3 import element, read_page, refusal, request_url, sign

LISTING = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>backups</Name><IsTruncated>{more}</IsTruncated>
<Contents><Key>postgres/a&amp;b.gz</Key><LastModified>2026-11-21T10:00:00.000Z</LastModified><Size>2000</Size></Contents>
<Contents><LastModified>2026-11-21T11:00:00Z</LastModified><Size>1</Size><Key>z</Key></Contents>
<NextContinuationToken>to/ken=</NextContinuationToken></ListBucketResult>"""


def test_the_example_of_the_documentation_is_signed_as_printed_there():
    headers = sign(
        "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
        host="examplebucket.s3.amazonaws.com",
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        now=datetime(2013, 5, 24, tzinfo=timezone.utc),
    )
    assert headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )


def test_signs_that_mean_something_in_a_url_are_signed_as_botocore_does():
    query = {"list-type": "2", "prefix": "a b/ü+&=~", "max-keys": "1", "versioning": ""}
    url = request_url("http://127.0.0.1:39180/", "my-bucket", query)
    headers = sign(
        url,
        host="127.0.0.1:39180",
        access_key="AK",
        secret_key="sk",
        region="auto",
        now=datetime(2026, 11, 21, 12, tzinfo=timezone.utc),
    )
    assert url.startswith("http://127.0.0.1:39180/my-bucket?list-type=2&max-keys=1&prefix=a%20b%2F%C3%BC%2B%26%3D~&")
    # Made by botocore 1.44.5 of the same request.
    assert headers["Authorization"].endswith("918cd0b80fede685e47e331696c2ccdfe32d13bff641154ff25b9475ff5be7d1")


def test_what_is_written_is_signed_as_botocore_does():
    url = request_url(
        "http://127.0.0.1:39180", "my-bucket", {"partNumber": "2", "uploadId": "a/b="}, "web 1/dump/empty ü & +.dat"
    )
    headers = sign(
        url,
        host="127.0.0.1:39180",
        access_key="AK",
        secret_key="sk",
        region="auto",
        now=datetime(2026, 11, 21, 12, tzinfo=timezone.utc),
        method="PUT",
        payload=hashlib.sha256(b"hello").hexdigest(),
        headers={"x-amz-meta-sha256": "00", "Content-MD5": "XUFAKrxLKna5cZ2REBfFkg==", "x-amz-security-token": "tok"},
    )
    assert url.endswith("/my-bucket/web%201/dump/empty%20%C3%BC%20%26%20%2B.dat?partNumber=2&uploadId=a%2Fb%3D")
    # Made by botocore 1.44.5 of the same request.
    assert headers["Authorization"].endswith("ba8c5612073f93743ffebb0933fbc23c5afe7047136e74886a227ab68272663b")
    assert headers["Content-MD5"] == "XUFAKrxLKna5cZ2REBfFkg=="


def test_the_example_of_an_upload_in_the_documentation_is_signed_as_printed_there():
    headers = sign(
        "https://examplebucket.s3.amazonaws.com/test%24file.text",
        host="examplebucket.s3.amazonaws.com",
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        now=datetime(2013, 5, 24, tzinfo=timezone.utc),
        method="PUT",
        payload=hashlib.sha256(b"Welcome to Amazon S3.").hexdigest(),
        headers={"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
    )
    assert headers["Authorization"].endswith("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")


def test_a_listing_is_read_whatever_the_order_of_its_elements():
    page = read_page(LISTING.format(more="true"))
    assert [(one.key, one.size) for one in page.objects] == [("postgres/a&b.gz", 2000), ("z", 1)]
    assert page.objects[1].modified_at - page.objects[0].modified_at == 3600
    assert page.next_token == "to/ken="
    assert read_page(LISTING.format(more="false")).next_token is None


def test_a_page_of_a_web_site_is_no_listing():
    with pytest.raises(ValueError, match="no listing"):
        read_page("<html>Welcome</html>")


@pytest.mark.parametrize(
    ("status", "code", "words", "down"),
    [
        pytest.param(403, "InvalidAccessKeyId", "access key is not known", False, id="wrong key"),
        pytest.param(403, "SignatureDoesNotMatch", "secret key is wrong", False, id="wrong secret"),
        pytest.param(403, "AccessDenied", "may not list", False, id="no permission"),
        pytest.param(403, "RequestTimeTooSkewed", "clock", False, id="clock"),
        pytest.param(404, "NoSuchBucket", "there is no bucket b", True, id="missing bucket"),
        pytest.param(400, "AuthorizationHeaderMalformed", "region is eu-west-1", False, id="region"),
        pytest.param(501, "NotImplemented", "no such setting", False, id="a provider without it"),
        pytest.param(500, "InternalError", "HTTP 500 InternalError", True, id="their fault"),
        pytest.param(418, "", "HTTP 418", False, id="something else"),
    ],
)
def test_each_refusal_has_its_name(status, code, words, down):
    body = f"<Error><Code>{code}</Code><Region>eu-west-1</Region><Message>m</Message></Error>" if code else ""
    answer = refusal(status, body, "b")
    assert words in answer["detail"]
    assert (answer["down"], bool(answer["remedy"])) == (down, True)


def test_an_element_is_unescaped():
    assert element("<Key>a &lt;b&gt;</Key>", "Key") == "a <b>"
    assert element("<Key/>", "Key") == ""

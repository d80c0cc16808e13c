# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prisma's comparison of a schema means. The scripts are those of prisma 6.19.3."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._prisma_schema import arguments, check, read

ALTERED = """-- AlterTable
ALTER TABLE "Task" DROP COLUMN "dueAt",
ADD COLUMN     "extra" TEXT NOT NULL DEFAULT 'x',
ADD COLUMN     "priority" INTEGER;
"""


@pytest.mark.parametrize(
    ("script", "lacks", "differs"),
    [
        pytest.param("-- This is an empty migration.\n", 0, 0, id="the same"),
        pytest.param(ALTERED, 1, 0, id="a column is missing"),
        pytest.param('-- CreateTable\nCREATE TABLE "Note" (\n "id" SERIAL\n);', 1, 0, id="a table is missing"),
        pytest.param("""CREATE TYPE "Role" AS ENUM ('A');""", 1, 0, id="a type is missing"),
        pytest.param("""ALTER TYPE "Role" ADD VALUE 'B';""", 1, 0, id="a value of a type is missing"),
        pytest.param('DROP TABLE "mine"; DROP INDEX "i";', 0, 2, id="more than it knows"),
        pytest.param('CREATE INDEX "i" ON "Task"("done");', 0, 1, id="an index is missing"),
        pytest.param('ALTER TABLE "Task" ADD CONSTRAINT "c" FOREIGN KEY ("a") REFERENCES "b"("c");', 0, 1, id="a key"),
        pytest.param(
            'ALTER TABLE "T" ALTER COLUMN "ADD COLUMN " SET DATA TYPE TEXT;', 0, 1, id="a name like the words"
        ),
    ],
)
def test_what_a_query_fails_on_is_told_apart(script, lacks, differs):
    found = read(script)
    assert (len(found.lacks), len(found.differs)) == (lacks, differs)


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("prisma                  : 6.19.3\n", ["--from-schema-datasource", "p/s", "--to-schema-datamodel", "p/s"]),
        ("Prisma schema loaded\nprisma : 7.0.1\n", ["--from-config-datasource", "--to-schema", "p/s"]),
    ],
)
def test_prisma_is_asked_as_its_version_wants_it(version, wanted):
    assert arguments(version, "p/s") == wanted


@pytest.mark.parametrize("version", ["", "@prisma/client : 6.0.0"])
def test_a_version_that_is_not_told_is_no_version(version):
    with pytest.raises(ValueError, match="does not tell"):
        arguments(version, "p/s")


def test_a_long_difference_is_cut():
    assert check("shop", read("DROP INDEX a; DROP INDEX b; DROP INDEX c; DROP INDEX d"))["detail"].endswith(
        "c; and 1 more"
    )

# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that modules share: how Vercel is reached."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the project is, and who may ask."""

    DOCUMENTATION = r"""
options:
  project:
    description: Name or identifier of the project.
    type: str
    required: true
  team:
    description:
      - Identifier (C(team_…)) or URL name of the team that owns the project.
      - Without it the account that the token belongs to.
    type: str
  token:
    description: Token of the API. It is sent to O(api) only, in a header.
    type: str
    required: true
  api:
    description: URL of the API, with C(https) unless it is on the machine itself.
    type: str
    default: https://api.vercel.com
  timeout_seconds:
    description: How many seconds each request may take.
    type: int
    default: 15
notes:
  - Run it on the controller, with C(delegate_to=localhost) and without C(become). There is no host to log in to.
  - Used are the documented endpoints C(GET /v9/projects/{project}), C(GET /v6/deployments),
    C(GET /v13/deployments/{id}), C(POST /v13/deployments), C(POST /v10/projects/{project}/promote/{id}) and
    C(POST /v1/projects/{project}/rollback/{id}).
"""

# syntax=docker/dockerfile:1
# One image for all processes; each gets its command, its secrets and its database user from outside:
#
#   api                node api/server.ts
#   worker             node worker.ts runner | vault | projection
#   migrations (a job) node commands/missions.ts migrate && node commands/missions.ts setup
#
# A tag moves. For builds that can be repeated pass a digest: --build-arg NODE_IMAGE=node:24-slim@sha256:...
# (`docker buildx imagetools inspect node:24-slim` shows it).
ARG NODE_IMAGE=node:24-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build/app
# Steps name no folder outside of /build: a test runs them as they stand (test/image/image.test.ts).
ARG YARN="node ../yarn/node_modules/@yarnpkg/cli-dist/bin/yarn.js"
RUN npm install --prefix ../yarn --ignore-scripts --no-audit --no-fund @yarnpkg/cli-dist@4.18.1
COPY package.json yarn.lock .yarnrc.yml ./
# Fails if the lock file does not fit package.json.
RUN ${YARN} install --immutable
COPY . .
# Production never bundles: workers take the workflow code that was bundled here. Then development's packages go.
RUN ${YARN} build:workflows && ${YARN} workspaces focus --production
# Temporal's core comes for every platform; 109 MB of it are of others.
RUN own=$(node -p "require('@temporalio/core-bridge/common').getPrebuiltTargetName()") \
  && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 ! -name "$own" -exec rm -r {} +

FROM ${NODE_IMAGE}
# The worker's gRPC core reads the system's certificates, and the slim image has none; its `yarn` is a classic one.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
  && rm -rf /opt/yarn-v* /usr/local/bin/yarn /usr/local/bin/yarnpkg
COPY --from=build --chmod=755 /build/yarn/node_modules/@yarnpkg/cli-dist/bin/yarn.js /usr/local/bin/yarn
WORKDIR /app
# Owned by root: the process cannot change its own code.
COPY --from=build /build/app /app
# As in a clone: bin/yarn missions --help
RUN mkdir bin && ln -s /usr/local/bin/yarn bin/yarn
ENV NODE_ENV=production HOST=0.0.0.0 WORKFLOW_BUNDLE=/app/dist/workflow-bundle.js
USER node
EXPOSE 3565 3566 3567 3568 3569
STOPSIGNAL SIGTERM
CMD ["node", "api/server.ts"]

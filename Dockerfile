# syntax=docker/dockerfile:1
# One image for every process of the EDMS: web, workers, beat, Flower, commands.
#
#   docker build -t edms:local .
#
# Behind a package index of your own, hand pip its configuration (and a certificate that this
# configuration names) as build secrets; neither ends up in the image:
#
#   docker build --secret id=pip_conf,src=pip.conf --secret id=ca_certificates,src=ca.pem .

ARG PYTHON_IMAGE=python:3.12-slim-bookworm

# ---- packages: what the lock file pins, each checked against its hash ---------------------------
FROM ${PYTHON_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements-production.lock ./
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_certificates,target=/run/secrets/ca_certificates \
    python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --quiet --no-cache-dir --only-binary :all: --no-deps \
        --require-hashes --requirement requirements-production.lock \
    && /opt/venv/bin/python -m pip check

# ---- the image -----------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE}
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=edms.settings \
    STATIC_ROOT=/app/static \
    MEDIA_ROOT=/srv/edms/media \
    BACKUP_STORE=/srv/edms/backups \
    BACKUP_WORKSPACE=/srv/edms/workspace
# The numbers are fixed so that a volume keeps its owner from one image to the next. A new named
# volume takes the owner of the folder it is mounted on.
RUN groupadd --gid 10001 edms \
    && useradd --uid 10001 --gid edms --no-create-home --home-dir /tmp --shell /usr/sbin/nologin edms \
    && install -d -o edms -g edms -m 0750 \
        /srv/edms /srv/edms/media /srv/edms/backups /srv/edms/workspace /srv/edms/beat
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY manage.py celeryconfig.py ./
COPY docker/entrypoint.py docker/healthcheck.py docker/gunicorn.conf.py docker/flowerconfig.py docker/
COPY backup_tasks backup_tasks
COPY edms edms
# The key is needed to start Django, not to collect files, and lives for this command only.
RUN SECRET_KEY=collectstatic python manage.py collectstatic --no-input --verbosity 0 \
    && python -m compileall -q backup_tasks edms celeryconfig.py docker
USER 10001:10001
EXPOSE 8000 5555
ENTRYPOINT ["python", "docker/entrypoint.py"]
CMD ["gunicorn", "--config", "docker/gunicorn.conf.py", "edms.wsgi:application"]

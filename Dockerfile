# The images of Lakeloop: `docker build --target airflow .`, or trainer, or server. The trainer has torch for NVIDIA
# devices; with `--build-arg TORCH=cpu` it has the build for the CPU and none of the CUDA packages.
# All three run as user 10001, from a read-only file system if wanted: what they write goes to /var/lib/lakeloop
# (the home: lake, journals, reports), /var/lib/airflow, /var/log/airflow and /tmp. Code belongs to root.

FROM python:3.11.14-slim-bookworm AS base
RUN groupadd --gid 10001 lakeloop \
    && useradd --uid 10001 --gid lakeloop --no-log-init --no-create-home --home-dir /tmp lakeloop \
    && install --directory --owner lakeloop --group lakeloop \
        /var/lib/lakeloop /var/lib/airflow /var/log/airflow
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LAKELOOP_ROOT=/opt/lakeloop \
    LAKELOOP_HOME=/var/lib/lakeloop \
    WANDB_ERROR_REPORTING=false \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    HF_HUB_OFFLINE=1 \
    OMP_WAIT_POLICY=PASSIVE
WORKDIR /opt/lakeloop

# Dependencies before code: a change of code does not install them again. Bytecode is compiled here, because
# a container with a read-only file system could not keep it and would compile at each start.
FROM base AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    VIRTUAL_ENV=/opt/venv
RUN pip install --no-cache-dir uv==0.13.9 && uv venv /opt/venv
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements

FROM build AS build-server
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --constraint requirements/lock.txt --requirement pyproject.toml --extra serve
COPY src src
COPY training training
RUN --mount=type=cache,target=/root/.cache/uv uv pip install --no-deps .

FROM build AS build-airflow
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --constraint requirements/lock.txt --constraint requirements/cluster.txt --requirement pyproject.toml \
        --extra data --extra serve --extra sql --extra track --extra airflow --extra cluster --extra news
COPY src src
COPY training training
RUN --mount=type=cache,target=/root/.cache/uv uv pip install --no-deps .

FROM build-airflow AS build-trainer
ARG TORCH=gpu
RUN --mount=type=cache,target=/root/.cache/uv \
    if [ "$TORCH" = cpu ]; then export UV_TORCH_BACKEND=cpu; fi \
    && uv pip install --constraint requirements/lock.txt --constraint requirements/cuda.txt --requirement pyproject.toml \
        --extra train

# Every Airflow component, and the worker of all stages but training.
FROM base AS airflow
ENV AIRFLOW_HOME=/tmp/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/lakeloop/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/lakeloop/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=/var/log/airflow \
    AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False
COPY --from=build-airflow /opt/venv /opt/venv
COPY dags dags
COPY plugins plugins
COPY dbt dbt
COPY loops loops
# Part of what a training is made from, so its stages want to see the files; the trainer runs them from here.
COPY training training
RUN python -m compileall -q dags plugins training
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/api/v2/version', timeout=5)"]
CMD ["airflow", "api-server"]

# The worker that trains: the same, and torch.
FROM airflow AS trainer
COPY --from=build-trainer /opt/venv /opt/venv
HEALTHCHECK --interval=60s --timeout=45s --start-period=60s \
    CMD ["sh", "-c", "celery --app airflow.providers.celery.executors.celery_executor.app inspect ping --destination \"celery@$(hostname)\""]
CMD ["airflow", "celery", "worker", "--queues", "gpu", "--skip-serve-logs"]

# The model server: no torch, no Airflow, no dbt.
FROM base AS server
COPY --from=build-server /opt/venv /opt/venv
COPY loops loops
USER 10001:10001
EXPOSE 8100
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8100/healthz', timeout=4)"]
ENTRYPOINT ["lakeloop"]
CMD ["serve", "news", "--host", "0.0.0.0"]

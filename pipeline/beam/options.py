"""The config's `beam` group: on what the steps over many rows run, each engine with the settings it needs."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.spec import Options

ADDRESS = r"^[A-Za-z0-9._-]+:[0-9]{1,5}$"
CONTAINER_IMAGE = r"^[a-z0-9][A-Za-z0-9._:/@-]*$"


class AutoBeam(Options):
    """In memory for small inputs, processes for those at which they pay."""

    runner: Literal["auto"] = "auto"
    workers: int | None = Field(None, ge=1, description="Processes, where they are taken; default: the cores.")


class DirectBeam(Options):
    """In the memory of the one process."""

    runner: Literal["direct"] = "direct"


class ProcessesBeam(Options):
    """One process for each worker on this machine."""

    runner: Literal["processes"] = "processes"
    workers: int = Field(1, ge=1, description="How many.")


class _Cluster(Options):
    """What engines have in common whose workers are not started by the run itself."""

    worker_pool: str | None = Field(
        None, pattern=ADDRESS, description="HOST:PORT of Beam's worker pool beside each worker, as that one sees it."
    )
    worker_image: str | None = Field(
        None, pattern=CONTAINER_IMAGE, description="Or the image with this project, of which it starts containers."
    )
    worker_command: str | None = Field(
        None, min_length=1, description="Or the command that starts Beam's worker on its machines."
    )
    shared_folder: str | None = Field(
        None, pattern=r"^/", description="That all workers see under this same path; workspace and input lie in it."
    )

    @model_validator(mode="after")
    def _one_kind_of_worker(self) -> Any:
        if sum(each is not None for each in (self.worker_pool, self.worker_image, self.worker_command)) != 1:
            raise ValueError("needs one of worker_pool, worker_image, worker_command: where the workers' Python is")
        return self


class PortableBeam(_Cluster):
    """A job service that runs already: Beam's own, or the job server of a cluster."""

    runner: Literal["portable"] = "portable"
    job_endpoint: str = Field(pattern=ADDRESS, description="HOST:PORT of the job service.")


class FlinkBeam(_Cluster):
    """Flink; its job server, a Java program, is started for each step."""

    runner: Literal["flink"] = "flink"
    master: str = Field(pattern=ADDRESS, description="HOST:PORT of the JobManager's REST API.")
    version: Literal["1.19", "1.20", "2.0", "2.1", "2.2"] = Field("2.2", description="Of the cluster.")
    job_server_jar: str | None = Field(
        None, description="beam-runners-flink-VERSION-job-server; default: Beam fetches it from Maven Central."
    )
    parallelism: int = Field(1, ge=1, description="Task slots that a step takes.")


class SparkBeam(_Cluster):
    """Spark 3; its job server, a Java program, is started for each step."""

    runner: Literal["spark"] = "spark"
    master: str = Field(pattern=r"^spark://[A-Za-z0-9._-]+:[0-9]{1,5}$", description="spark://HOST:PORT.")
    job_server_jar: str | None = Field(
        None, description="beam-runners-spark-3-job-server; default: Beam fetches it from Maven Central."
    )


class DataflowBeam(Options):
    """Google's Dataflow; credentials are those of the environment."""

    runner: Literal["dataflow"] = "dataflow"
    project: str = Field(min_length=1)
    region: str = Field(min_length=1)
    temp_location: str = Field(pattern=r"^gs://.", description="gs:// folder for what is staged and thrown away.")
    worker_image: str = Field(pattern=CONTAINER_IMAGE, description="With this project and Beam's boot program.")
    service_account: str | None = Field(None, pattern=r"^\S+@\S+$", description="Of the workers.")
    machine_type: str | None = Field(None, min_length=1)
    max_workers: int | None = Field(None, ge=1)


AnyBeam = Annotated[
    AutoBeam | DirectBeam | ProcessesBeam | PortableBeam | FlinkBeam | SparkBeam | DataflowBeam,
    Field(discriminator="runner"),
]
RUNNERS: dict[str, type[Options]] = {
    each.model_fields["runner"].default: each
    for each in (AutoBeam, DirectBeam, ProcessesBeam, PortableBeam, FlinkBeam, SparkBeam, DataflowBeam)
}

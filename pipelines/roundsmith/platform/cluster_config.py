"""What a run on a cluster is told by its chart: the JSON of the ConfigMap `RELEASE-cluster`."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from roundsmith.clients import ROUNDS, Endpoints
from roundsmith.config import Settings
from roundsmith.errors import ConfigError
from roundsmith.steps.config import ServicesConfig
from roundsmith.wrong_settings import explain

TRAINING_CONTAINER = "pytorch"
"""The name that the Training Operator demands."""
CONTROL_CONTAINER = "control"


class ClusterServices(ServicesConfig):
    """How the services with weights were started. Nothing may be left to their machine, which the
    run does not see: all of it is part of what makes a sample repeatable.
    """

    engine: Literal["transformers", "vllm"]
    threads: int = Field(gt=0)
    device: Literal["cpu", "cuda"]


class ClusterImages(Settings):
    """What the services with weights run from, which holds their torch and vLLM; empty where it is
    not told.
    """

    generator: str = ""
    scorer: str = ""


class ClusterJobs(Settings):
    """What the jobs of all runs on a cluster have in common."""

    queue: str = ""
    """A LocalQueue of Kueue that holds them until there is quota; none asks no queue."""
    priority_class: str = ""
    """The PriorityClass of their pods; none is the namespace's."""
    sidecar: bool = False
    """Whether Istio puts its sidecar beside them, which outlives what a job runs."""


class ClusterGenerator(Settings):
    """The generator that rounds sample from, and who runs it."""

    inference_service: str = ""
    """The InferenceService that it is; none is a Deployment."""
    stopped_while_training: bool = False
    """Whether a training gets its node: KServe takes its pods away, and makes them again."""


class ClusterGpus(Settings):
    """GPUs of all pods of a service together, by which their time is reckoned; its pods times the
    GPUs of each, over which a model is spread.
    """

    generator: int = Field(1, gt=0)
    scorer: int = Field(1, gt=0)


class ClusterServe(Settings):
    """What serves promoted weights to others, apart from the generator of rounds."""

    runtime: Literal["", "roundsmith", "stock"] = ""
    """Our generator, which takes weights in place; KServe's own, which is rolled out; or none."""
    endpoint: str = ""
    admin: str = ""
    inference_service: str = ""
    """Of KServe's own runtime."""
    history: str = ""
    """A folder at a URL: what was promoted, a file each, the latest last."""


class ClusterRollouts(Settings):
    """What the pod of a training that samples from the services has beside its template."""

    labels: dict[str, str] = Field(default_factory=dict)
    """By which network policies let it call them."""
    volumes: tuple[dict[str, Any], ...] = ()
    volume_mounts: tuple[dict[str, Any], ...] = ()
    """The certificate of rounds, which alone may swap weights."""


class ClusterTraining(Settings):
    """How a training is spread over pods, and what its pods look like."""

    job: Literal["auto", "pytorchjob", "trainjob"] = "auto"
    """The kind of job; `auto` is a PyTorchJob where the cluster has that kind, else a TrainJob."""
    replicas: int = Field(1, gt=0)
    """Pods; processes and threads are part of what makes a checkpoint repeatable."""
    processes: int = Field(1, gt=0)
    """Of each pod; on GPUs one a GPU."""
    threads: int = Field(1, gt=0)
    """Of one process."""
    device: Literal["cpu", "cuda"] = "cpu"
    checkpoint_every_steps: int = Field(50, gt=0)
    disturbances: int = Field(5, ge=0)
    """Lost pods that a training goes on after, from its last checkpoint."""
    deadline_s: int | None = Field(None, gt=0)
    """A training that takes longer is ended; none is no limit."""
    keep_s: int = Field(3600, ge=0)
    """How long a failed PyTorchJob is kept to be looked at."""
    template: dict[str, Any]
    """The pod template; its container `pytorch` runs the training."""
    rollouts: ClusterRollouts = ClusterRollouts()

    @field_validator("template")
    @classmethod
    def _has_its_container(cls, template: dict[str, Any]) -> dict[str, Any]:
        return with_container(template, TRAINING_CONTAINER)


class ClusterControl(Settings):
    """The pod that plays the rounds."""

    template: dict[str, Any]
    """The pod template of its Job; its container `control` runs `roundsmith run`."""

    @field_validator("template")
    @classmethod
    def _has_its_container(cls, template: dict[str, Any]) -> dict[str, Any]:
        return with_container(template, CONTROL_CONTAINER)


class ClusterPipelines(Settings):
    """The API of Kubeflow Pipelines, where the next round of a chain is submitted."""

    host: str = ""
    """Its URL as pods reach it; none submits no round."""
    experiment: str = "roundsmith"
    """What the runs are gathered under."""
    token: str = ""
    """A file with the token to show, where the platform has several users; none shows none."""


class ClusterModelRegistry(Settings):
    """Kubeflow's Model Registry, where promoted checkpoints are entered."""

    host: str = ""
    """Its URL as pods reach it; none enters nothing."""
    model: str = ""
    """The name of the model that each is a version of."""
    token: str = ""
    """A file with the token to show; none shows none."""

    @model_validator(mode="after")
    def _is_named(self) -> "ClusterModelRegistry":
        if self.host and not self.model:
            raise ValueError("expected the name of a model beside host, saw none")
        return self


class ClusterTracing(Settings):
    """A collector, to which rounds send their spans."""

    otlp_endpoint: str = ""
    """Its gRPC port as pods reach it, `http://HOST:PORT`; none sends none."""


class ClusterConfig(Settings):
    """Where things are on a cluster."""

    endpoints: Endpoints
    storage: str = Field(min_length=1)
    """The storage root, such as `s3://bucket/prefix`: store, checkpoints, trainings and runs."""
    namespace: str = Field(min_length=1)
    """Of trainings and runs."""
    generator: ClusterGenerator = ClusterGenerator()
    gpus: ClusterGpus = ClusterGpus()
    serve: ClusterServe = ClusterServe()
    jobs: ClusterJobs = ClusterJobs()
    services: ClusterServices
    images: ClusterImages = ClusterImages()
    patience_s: float = Field(ROUNDS.give_up_s, gt=0)
    """How long a run waits for a service that is away, as one is whose pod loads a model."""
    training: ClusterTraining
    control: ClusterControl
    pipelines: ClusterPipelines = ClusterPipelines()
    model_registry: ClusterModelRegistry = ClusterModelRegistry()
    tracing: ClusterTracing = ClusterTracing()

    @field_validator("storage")
    @classmethod
    def _without_slash(cls, storage: str) -> str:
        return storage.rstrip("/")

    @property
    def store(self) -> str:
        """The URL of the store."""
        return f"{self.storage}/store"

    @property
    def model_images(self) -> str:
        """The images of generator and scorer by which keys know their versions; without the
        registry, which may be a mirror.
        """
        told = (self.images.generator, self.images.scorer)
        return " ".join(_without_registry(image) for image in told if image)

    @property
    def training_image(self) -> str:
        """The same of a training's pods."""
        containers = self.training.template["spec"]["containers"]
        (image,) = (c["image"] for c in containers if c["name"] == TRAINING_CONTAINER)
        return _without_registry(image)

    def run(self, name: str) -> str:
        """The URL of a run's files."""
        return f"{self.storage}/runs/{name}"

    @classmethod
    def read(cls, path: Path) -> "ClusterConfig":
        """The config in a JSON file. Raises ConfigError when it is not one."""
        try:
            return cls.parse(path.read_text("utf-8"), str(path))
        except OSError as error:
            raise ConfigError(
                f"{path}: expected the JSON of a cluster, saw {error}: mount the ConfigMap that "
                "the chart writes, RELEASE-cluster"
            ) from error

    @classmethod
    def parse(cls, text: str, name: str) -> "ClusterConfig":
        """The config in a text; `name` says whose it is. Raises ConfigError when it is not one."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ConfigError(
                f"{name}: expected what the chart of this release writes, saw "
                f"{explain(error, cls)}: install the chart and the image of one release"
            ) from error


def _without_registry(image: str) -> str:
    return image.rpartition("/")[2]


def with_container(template: dict[str, Any], name: str) -> dict[str, Any]:
    """The pod template; raises ValueError unless it has one container of this name, with an image.

    That is what the Training Operator's webhook asks of `pytorch`.
    """
    containers = template.get("spec", {}).get("containers", [])
    named = [container for container in containers if container.get("name") == name]
    if len(named) != 1 or not named[0].get("image"):
        seen = [container.get("name") for container in containers]
        raise ValueError(f"expected one container {name!r} with an image, saw {seen}")
    return template

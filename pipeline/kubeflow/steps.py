"""What each step gets of the config: in the pipeline spec what that can say, in the platform spec what it cannot."""

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
from kfp.pipeline_spec import pipeline_spec_pb2 as kfp

from pipeline.kubeflow.options import KubeflowConfig, StepOptions

PLATFORM = "kubernetes"
BACKOFF_SECONDS, BACKOFF_FACTOR, MAX_BACKOFF_SECONDS = 30, 2.0, 3600


def equip(spec: kfp.PipelineSpec, config: KubeflowConfig) -> kfp.PlatformSpec:
    """Gives every step its resources, retries and caching, and takes away the driver that never runs.

    Args:
        spec: changed in place.
        config: of all steps.

    Returns:
        Volumes, node selectors, secrets and timeouts, which only Kubernetes knows.
    """
    deployment = json_format.ParseDict(json_format.MessageToDict(spec.deployment_spec), kfp.PipelineDeploymentConfig())
    platform = kfp.PlatformSpec()
    executors = platform.platforms[PLATFORM].deployment_spec.executors
    for name, task in spec.root.dag.tasks.items():
        options = config.of_step(name)
        label = spec.components[task.component_ref.name].executor_label
        container = deployment.executors[label].container
        container.ClearField("lifecycle")
        container.image = options.image or container.image
        _set_resources(container.resources, options)
        task.caching_options.enable_cache = bool(options.caching)
        if options.retries:
            task.retry_policy.CopyFrom(
                kfp.PipelineTaskSpec.RetryPolicy(
                    max_retry_count=options.retries,
                    backoff_duration=Duration(seconds=BACKOFF_SECONDS),
                    backoff_factor=BACKOFF_FACTOR,
                    backoff_max_duration=Duration(seconds=MAX_BACKOFF_SECONDS),
                )
            )
        executors[label].update(json_format.MessageToDict(_pod(options, config)))
    spec.deployment_spec.Clear()
    spec.deployment_spec.update(json_format.MessageToDict(deployment))
    return platform


def _set_resources(
    resources: kfp.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec, options: StepOptions
) -> None:
    if options.cpu is not None:
        resources.resource_cpu_request = resources.resource_cpu_limit = f"{options.cpu:g}"
    if options.memory is not None:
        resources.resource_memory_request = resources.resource_memory_limit = options.memory
    if options.gpu is not None:
        resources.accelerator.resource_type = options.gpu.type
        resources.accelerator.resource_count = str(options.gpu.count)


def _pod(options: StepOptions, config: KubeflowConfig) -> kubernetes.KubernetesExecutorConfig:
    pod = kubernetes.KubernetesExecutorConfig(active_deadline_seconds=options.timeout_seconds)
    if options.node_selector:
        pod.node_selector.labels.update(options.node_selector)
    for claim, path in config.volumes.items():
        mount = pod.pvc_mount.add(mount_path=path, constant=claim)
        mount.pvc_name_parameter.runtime_value.constant.string_value = claim
    for variable, place in options.secrets.items():
        name, key = place.split("/")
        secret = pod.secret_as_env.add(secret_name=name)
        secret.secret_name_parameter.runtime_value.constant.string_value = name
        secret.key_to_env.add(secret_key=key, env_var=variable)
    return pod

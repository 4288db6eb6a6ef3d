namespace Runtara.Protocol;

/// <summary>
/// Values of <c>RpcError.code</c>. Each names the request that failed, not the reason; the reason is the message.
/// Sources: environment-protocol §3, instance-protocol §2.0.
/// </summary>
public static class ErrorCodes
{
    /// <summary>Both protocols: the request holds no known arm.</summary>
    public const string EmptyRequest = "EMPTY_REQUEST";

    /// <summary>Environment: health_check.</summary>
    public const string HealthCheck = "HEALTH_CHECK_ERROR";

    /// <summary>Environment: register_image.</summary>
    public const string RegisterImage = "REGISTER_IMAGE_ERROR";

    /// <summary>Environment: register_image_stream.</summary>
    public const string RegisterImageStream = "REGISTER_IMAGE_STREAM_ERROR";

    /// <summary>Environment: list_images.</summary>
    public const string ListImages = "LIST_IMAGES_ERROR";

    /// <summary>Environment: get_image.</summary>
    public const string GetImage = "GET_IMAGE_ERROR";

    /// <summary>Environment: delete_image.</summary>
    public const string DeleteImage = "DELETE_IMAGE_ERROR";

    /// <summary>Environment: start_instance.</summary>
    public const string StartInstance = "START_INSTANCE_ERROR";

    /// <summary>Environment: stop_instance.</summary>
    public const string StopInstance = "STOP_INSTANCE_ERROR";

    /// <summary>Environment: resume_instance.</summary>
    public const string ResumeInstance = "RESUME_INSTANCE_ERROR";

    /// <summary>Both protocols: get_instance_status.</summary>
    public const string GetInstanceStatus = "GET_INSTANCE_STATUS_ERROR";

    /// <summary>Environment: list_instances.</summary>
    public const string ListInstances = "LIST_INSTANCES_ERROR";

    /// <summary>Environment: send_signal.</summary>
    public const string SendSignal = "SEND_SIGNAL_ERROR";

    /// <summary>Environment: send_custom_signal.</summary>
    public const string SendCustomSignal = "SEND_CUSTOM_SIGNAL_ERROR";

    /// <summary>Environment: test_capability.</summary>
    public const string TestCapability = "TEST_CAPABILITY_ERROR";

    /// <summary>Environment: list_agents.</summary>
    public const string ListAgents = "LIST_AGENTS_ERROR";

    /// <summary>Environment: get_capability.</summary>
    public const string GetCapability = "GET_CAPABILITY_ERROR";

    /// <summary>Environment: list_checkpoints.</summary>
    public const string ListCheckpoints = "LIST_CHECKPOINTS_ERROR";

    /// <summary>Both protocols: get_checkpoint.</summary>
    public const string GetCheckpoint = "GET_CHECKPOINT_ERROR";

    /// <summary>Environment: list_events.</summary>
    public const string ListEvents = "LIST_EVENTS_ERROR";

    /// <summary>Environment: get_tenant_metrics.</summary>
    public const string GetTenantMetrics = "GET_TENANT_METRICS_ERROR";

    /// <summary>Instance: register_instance.</summary>
    public const string RegisterInstance = "REGISTER_INSTANCE_ERROR";

    /// <summary>Instance: checkpoint.</summary>
    public const string Checkpoint = "CHECKPOINT_ERROR";

    /// <summary>Instance: sleep.</summary>
    public const string Sleep = "SLEEP_ERROR";

    /// <summary>Instance: instance_event.</summary>
    public const string InstanceEvent = "INSTANCE_EVENT_ERROR";

    /// <summary>Instance: poll_signals.</summary>
    public const string PollSignals = "POLL_SIGNALS_ERROR";

    /// <summary>
    /// How a message ends when nothing is wrong with the request: the database is away, say, or an instance is moving.
    /// Whoever sends the same request again, and again, is answered in the end.
    /// </summary>
    public const string SafeToRepeat = "the request can safely be sent again";
}

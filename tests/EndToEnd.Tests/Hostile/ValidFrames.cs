using System.Buffers;
using Google.Protobuf;
using Runtara.Protocol;
using Env = Runtara.Protocol.Environments;
using Ins = Runtara.Protocol.Instances;

namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>What the attackers spoil: one request of every sort, none of which may end its instance.</summary>
internal static class ValidFrames
{
    private static readonly ByteString Bytes = ByteString.CopyFromUtf8(new string('x', 300));

    /// <summary>Requests of the environment protocol, about an instance and an image that do not exist.</summary>
    public static IReadOnlyList<byte[]> Environment { get; } =
    [
        .. ((Env.RpcRequest[])
        [
            new() { HealthCheck = new() },
            new() { RegisterImage = new() { TenantId = "acme", Name = "small", Binary = Bytes } },
            new() { RegisterImageStream = new() { TenantId = "acme", Name = "streamed", BinarySize = 4 } },
            new() { ListImages = new() { TenantId = "acme", Limit = 10 } },
            new() { GetImage = new() { TenantId = "acme", ImageId = "nothing" } },
            new() { DeleteImage = new() { TenantId = "acme", ImageId = "nothing" } },
            new() { StartInstance = new() { TenantId = "acme", ImageId = "nothing", InstanceId = "nobody" } },
            new() { StopInstance = new() { InstanceId = "nobody" } },
            new() { ResumeInstance = new() { InstanceId = "nobody" } },
            new() { GetInstanceStatus = new() { InstanceId = "nobody" } },
            new() { ListInstances = new() { TenantId = "acme", Limit = 10 } },
            new() { SendSignal = new() { InstanceId = "nobody", Payload = Bytes } },
            new() { ListCheckpoints = new() { InstanceId = "nobody" } },
            new() { ListEvents = new() { InstanceId = "nobody" } },
            new() { GetTenantMetrics = new() { TenantId = "acme" } },
        ]).Select(Frame),
    ];

    /// <summary>Requests of the instance protocol.</summary>
    public static IReadOnlyList<byte[]> Instance(string instance) =>
    [
        .. ((Ins.RpcRequest[])
        [
            new() { RegisterInstance = new() { InstanceId = instance, TenantId = "acme" } },
            new() { Checkpoint = new() { InstanceId = instance, CheckpointId = "key", State = Bytes } },
            new() { GetCheckpoint = new() { InstanceId = instance, CheckpointId = "key" } },
            new() { PollSignals = new() { InstanceId = instance, CheckpointId = "key" } },
            new() { GetInstanceStatus = new() { InstanceId = instance } },
            new() { SignalAck = new() { InstanceId = instance } },
            new() { RetryAttempt = new() { InstanceId = instance, CheckpointId = "key", AttemptNumber = 2 } },
        ]).Select(Frame),
    ];

    public static byte[] Frame(IMessage request)
    {
        var frame = new ArrayBufferWriter<byte>();
        FrameWriter.Write(frame, FrameType.Request, request);
        return frame.WrittenSpan.ToArray();
    }
}

using System.Buffers;
using System.IO.Pipelines;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Environments = Runtara.Protocol.Environments;
using Instances = Runtara.Protocol.Instances;

namespace Runtara.Protocol.Tests;

public sealed class WireVectorTests
{
    private static readonly Dictionary<string, MessageDescriptor> Wrappers = new MessageDescriptor[]
    {
        Environments.RpcRequest.Descriptor, Environments.RpcResponse.Descriptor,
        Instances.RpcRequest.Descriptor, Instances.RpcResponse.Descriptor,
    }.ToDictionary(d => d.FullName);

    public static TheoryData<int, string> Indices()
    {
        var data = new TheoryData<int, string>();
        for (var i = 0; i < WireVectors.All.Count; i++)
            data.Add(i, WireVectors.All[i].ToString());
        return data;
    }

    [Theory]
    [MemberData(nameof(Indices))]
    public void A_message_encodes_to_the_bytes_of_the_reference(int index, string name)
    {
        var vector = WireVectors.All[index];
        var output = new ArrayBufferWriter<byte>();

        FrameWriter.Write(output, TypeOf(vector), Message(vector));

        Assert.True(vector.FrameHex == Convert.ToHexStringLower(output.WrittenSpan), name);
    }

    [Theory]
    [MemberData(nameof(Indices))]
    public async Task The_bytes_of_the_reference_decode_to_the_message(int index, string name)
    {
        var vector = WireVectors.All[index];
        var expected = Message(vector);

        var (type, actual) = expected switch
        {
            Environments.RpcRequest => await ReadAsync(vector, Environments.RpcRequest.Parser),
            Environments.RpcResponse => await ReadAsync(vector, Environments.RpcResponse.Parser),
            Instances.RpcRequest => await ReadAsync(vector, Instances.RpcRequest.Parser),
            _ => await ReadAsync(vector, Instances.RpcResponse.Parser),
        };

        Assert.Equal(TypeOf(vector), type);
        Assert.True(expected.Equals(actual), name);
    }

    [Fact]
    public void The_vectors_cover_every_arm_of_every_wrapper()
    {
        var covered = WireVectors.All.Select(v => (v.Message, v.Arm)).ToHashSet();
        var arms = Wrappers.Values.SelectMany(w => w.Oneofs[0].Fields.Select(f => (w.FullName, f.Name)));

        Assert.All(arms, arm => Assert.Contains(arm, covered));
    }

    private static FrameType TypeOf(WireVector vector) =>
        vector.Message.EndsWith("Request", StringComparison.Ordinal) ? FrameType.Request : FrameType.Response;

    private static IMessage Message(WireVector vector) =>
        JsonParser.Default.Parse(vector.Json, Wrappers[vector.Message]);

    private static async Task<(FrameType, IMessage)> ReadAsync<T>(WireVector vector, MessageParser<T> parser)
        where T : class, IMessage<T>
    {
        var input = PipeReader.Create(new ReadOnlySequence<byte>(Convert.FromHexString(vector.FrameHex)));
        var read = await FrameReader.ReadAsync(input, parser, FrameLimits.Default, TimeProvider.System, default);
        Assert.True(read.IsComplete, read.Detail);
        return (read.Type, read.Message);
    }
}

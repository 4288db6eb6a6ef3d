using System.Buffers.Binary;
using System.Security.Cryptography;
using Google.Protobuf;
using Runtara.Actors.Instances;
using Wire = Runtara.Protocol.Instances;

namespace Runtara.Edge.Instances;

/// <summary>
/// By what an instance knows that a record was sent again. It comes from the record, so that it is the same whichever
/// connection brings it, also after a restart of the daemon.
/// </summary>
internal static class RequestId
{
    /// <summary>Of an event; another one each time for an event without a time, which may well happen twice.</summary>
    /// <param name="happened">The event.</param>
    /// <param name="place">Where in its batch it stands: equal events of one batch are several.</param>
    public static Guid Of(Wire.InstanceEvent happened, int place) =>
        happened.TimestampMs == 0 ? Guid.NewGuid() : Of(happened, "event", place);

    /// <summary>Of the record of a retry: an attempt makes the same one of a checkpoint once.</summary>
    public static Guid Of(Wire.RetryAttemptEvent retry, Attempt? from) => Of(retry, "retry", from?.Number ?? -1);

    private static Guid Of(IMessage record, string kind, int number)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> bytes = stackalloc byte[SHA256.HashSizeInBytes];
        BinaryPrimitives.WriteInt32BigEndian(bytes, number);
        hash.AppendData(System.Text.Encoding.ASCII.GetBytes(kind));
        hash.AppendData(bytes[..sizeof(int)]);
        hash.AppendData(record.ToByteArray());
        hash.GetHashAndReset(bytes);
        return new Guid(bytes[..16]);
    }
}

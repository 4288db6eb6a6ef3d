using System.Security.Cryptography;
using System.Text.Json;
using Google.Protobuf;
using Runtara.Protocol;
using Runtara.Protocol.Environments;
using Runtara.Quic;
using Response = Runtara.Protocol.Environments.RpcResponse.ResponseOneofCase;

namespace Runtara.Client;

public sealed partial class RuntaraClient
{
    private const int PieceBytes = 64 * 1024;

    /// <summary>
    /// Uploads an image: a static executable, or a root file system as a tar. The content is read twice: for its
    /// SHA-256, which the server checks, and to send it. Not retried.
    /// </summary>
    /// <param name="upload">What to call it.</param>
    /// <param name="content">Its bytes from the current position to the end; must be seekable.</param>
    /// <param name="progress">Told how many bytes are sent.</param>
    /// <param name="ct">Ends the wait; the server keeps nothing.</param>
    /// <returns>Id of the image.</returns>
    /// <exception cref="RuntaraException">Refused, code <c>REGISTER_FAILED</c> or the server's.</exception>
    public async Task<string> RegisterImageAsync(
        ImageUpload upload, Stream content, IProgress<long>? progress = null, CancellationToken ct = default)
    {
        var start = await DescribeAsync(upload, content, ct);
        using var late = new CancellationTokenSource(_options.RequestTimeout, _options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, ct);
        try
        {
            var connection = await _connection.GetAsync(either.Token);
            await using var stream = await connection.OpenStreamAsync(either.Token);
            var reply = await UploadAsync(stream, start, content, progress, late, either.Token);
            var registered = Calls.Checked(reply, Response.RegisterImage).RegisterImage;
            return registered.Success
                ? registered.ImageId
                : throw new RuntaraException("REGISTER_FAILED", registered.Error);
        }
        catch (FrameTooLargeException large)
        {
            throw Calls.TooLarge(new RpcRequest { RegisterImageStream = start }, large);
        }
        catch (IOException broken)
        {
            throw new RuntaraConnectionException(
                $"The connection to {_options.Server} broke during the upload: {broken.Message}",
                "The server keeps nothing of a broken upload: try again.",
                broken);
        }
        catch (OperationCanceledException stalled) when (late.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new RuntaraTimeoutException(
                $"The upload to {_options.Server} stalled for {_options.RequestTimeout.TotalSeconds:0.#} s.",
                "Check the server and the network, and try again.",
                stalled);
        }
    }

    /// <summary>Uploads a file; else as the other overload.</summary>
    /// <param name="upload">What to call it.</param>
    /// <param name="path">The file.</param>
    /// <param name="progress">Told how many bytes are sent.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <returns>Id of the image.</returns>
    /// <exception cref="RuntaraConfigurationException">The file cannot be read.</exception>
    public async Task<string> RegisterImageAsync(
        ImageUpload upload, string path, IProgress<long>? progress = null, CancellationToken ct = default)
    {
        FileStream file;
        try
        {
            file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, PieceBytes, useAsync: true);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            throw new RuntaraConfigurationException(
                $"{path} cannot be read: {unreadable.Message}", "Name a file that exists and is readable.", unreadable);
        }

        await using (file)
            return await RegisterImageAsync(upload, file, progress, ct);
    }

    private async Task<RpcResponse> UploadAsync(
        QuicStream stream,
        RegisterImageStreamStart start,
        Stream content,
        IProgress<long>? progress,
        CancellationTokenSource late,
        CancellationToken ct)
    {
        FrameWriter.Write(stream.Output, FrameType.Request, new RpcRequest { RegisterImageStream = start });
        long sent = 0;
        while (true)
        {
            var count = await content.ReadAsync(stream.Output.GetMemory(PieceBytes)[..PieceBytes], ct);
            stream.Output.Advance(count);
            var flushed = await stream.Output.FlushAsync(ct);
            late.CancelAfter(_options.RequestTimeout);
            sent += count;
            progress?.Report(sent);

            // A server that refuses early stops the upload; its reply says why.
            if (count == 0 || flushed.IsCompleted)
                break;
        }

        late.CancelAfter(_options.UploadReplyTimeout);
        await stream.Output.CompleteAsync();
        return await ServerConnection.ReadReplyAsync(stream, _options.Time, ct);
    }

    private static async Task<RegisterImageStreamStart> DescribeAsync(
        ImageUpload upload, Stream content, CancellationToken ct)
    {
        var begin = content.Position;
        var hash = await SHA256.HashDataAsync(content, ct);
        var start = new RegisterImageStreamStart
        {
            TenantId = upload.TenantId,
            Name = upload.Name,
            BinarySize = (ulong)(content.Position - begin),
            RunnerType = (Protocol.Environments.RunnerType)upload.RunnerType,
            Sha256 = Convert.ToHexStringLower(hash),
        };
        if (upload.Description is { } description)
            start.Description = description;
        if (upload.Metadata is { } metadata)
            start.Metadata = ByteString.CopyFromUtf8(metadata.GetRawText());
        content.Position = begin;
        return start;
    }
}

using System.Net;
using Runtara.Quic;

namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>Attacks a QUIC port: some hundred streams on a connection, then the next connection.</summary>
internal sealed class QuicAttacker(IPEndPoint daemon) : IAttacker
{
    private const int StreamsOfConnection = 250;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private QuicConnection? _connection;
    private int _streams;

    public async Task SendAsync(HostileInput input)
    {
        if (_connection is null || ++_streams > StreamsOfConnection)
            await ReconnectAsync();
        using var patience = new CancellationTokenSource(Patience);
        var stream = await _connection!.OpenStreamAsync(patience.Token);
        await stream.Output.WriteAsync(input.Bytes, patience.Token);
        if (input.End == StreamEnd.Open)
            return;
        if (input.End == StreamEnd.Reset)
        {
            stream.Abort(1);
        }
        else
        {
            await stream.Output.CompleteAsync();
            await EndsAsync(stream, patience.Token);
        }
        await stream.DisposeAsync();
    }

    private static async Task EndsAsync(QuicStream stream, CancellationToken patience)
    {
        try
        {
            var ended = false;
            while (!ended)
            {
                var result = await stream.Input.ReadAsync(patience);
                ended = result.IsCompleted;
                stream.Input.AdvanceTo(result.Buffer.End);
            }
        }
        catch (QuicStreamResetException)
        {
            // An end too.
        }
    }

    private async Task ReconnectAsync()
    {
        await DisposeAsync();
        _streams = 1;
        _connection = await QuicConnection.ConnectAsync(
            new QuicClientOptions { Remote = daemon, Trust = QuicTrust.AcceptAny });
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
    }
}

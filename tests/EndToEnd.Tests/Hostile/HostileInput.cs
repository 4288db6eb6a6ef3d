namespace Runtara.EndToEnd.Tests.Hostile;

/// <summary>What becomes of a stream after its bytes.</summary>
internal enum StreamEnd
{
    /// <summary>The sender's side ends, and the daemon has to end its own.</summary>
    Fin,

    /// <summary>The sender breaks off and does not wait for anything.</summary>
    Reset,

    /// <summary>Nothing more comes; the stream stays until its connection goes.</summary>
    Open,
}

/// <summary>The bytes of one stream and how it ends.</summary>
internal sealed record HostileInput(byte[] Bytes, StreamEnd End);

/// <summary>One client of an edge that keeps none of the rules.</summary>
internal interface IAttacker : IAsyncDisposable
{
    /// <summary>Sends one input on a stream of its own; after a FIN the daemon has to end the stream too.</summary>
    Task SendAsync(HostileInput input);
}

using System.Net;
using System.Net.Sockets;

namespace Runtara.Quic.Tests;

public sealed class UdpSocketTests
{
    private static readonly IPEndPoint Anywhere = new(IPAddress.Loopback, 0);

    [Fact]
    public void A_buffer_of_zero_bytes_means_the_system_s_own_size()
    {
        using var plain = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using var socket = new UdpSocket(Anywhere, 0, 0);
        using var opened = new Socket(new SafeSocketHandle(socket.Handle, ownsHandle: false));
        Assert.Equal(
            (plain.ReceiveBufferSize, plain.SendBufferSize), (opened.ReceiveBufferSize, opened.SendBufferSize));
    }

    [Fact]
    public void A_family_that_the_system_does_not_have_is_an_error_with_the_address()
    {
        var e = Assert.Throws<QuicException>(() => new UdpSocket(new NoSuchFamily(), 0, 0));
        Assert.Contains("cannot be bound", e.Message);
    }

    // What IPv6 is where it is switched off.
    private sealed class NoSuchFamily() : IPEndPoint(IPAddress.Loopback, 0)
    {
        public override AddressFamily AddressFamily => AddressFamily.AppleTalk;
    }
}

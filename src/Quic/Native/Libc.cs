using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Runtara.Quic.Native;

/// <summary>Linux system calls of the endpoint's loop, with the 64-bit layouts.</summary>
internal static unsafe partial class Libc
{
    private const string Library = "libc";

    public const int MsgDontWait = 0x40, SolIp = 0, SolIpv6 = 41, SolUdp = 17, UdpSegment = 103, UdpGro = 104;
    public const int IpMtuDiscover = 10, Ipv6MtuDiscover = 23, PmtuDiscoverProbe = 3;
    public const short PollIn = 1, PollOut = 4;
    public const int Eintr = 4, Eio = 5, Eagain = 11, Einval = 22, Enobufs = 105;
    public const int NonBlockCloseOnExec = 0x800 | 0x80000, PrSetTimerSlack = 29;

    [StructLayout(LayoutKind.Sequential)]
    public struct PollFd
    {
        public int Fd;
        public short Events, Returned;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Timespec
    {
        public long Seconds, Nanoseconds;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct MsgHdr
    {
        public byte* Name;
        public uint NameLength;
        public Ngtcp2.Vec* Iov;
        public nuint IovLength;
        public byte* Control;
        public nuint ControlLength;
        public int Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct MMsgHdr
    {
        public MsgHdr Header;
        public uint Length;
    }

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ppoll(PollFd* fds, nuint count, Timespec* timeout, void* mask);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int eventfd(uint initial, int flags);
    [LibraryImport(Library)]
    public static partial nint read(int fd, void* buffer, nuint count);
    [LibraryImport(Library)]
    public static partial nint write(int fd, void* buffer, nuint count);
    [LibraryImport(Library)]
    public static partial int close(int fd);
    [LibraryImport(Library)]
    public static partial int prctl(int option, nuint a, nuint b, nuint c, nuint d);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int recvmmsg(int fd, MMsgHdr* messages, uint count, int flags, Timespec* timeout);
    [LibraryImport(Library, SetLastError = true)]
    public static partial nint sendmsg(int fd, MsgHdr* message, int flags);
    [LibraryImport(Library, SetLastError = true)]
    public static partial int setsockopt(int fd, int level, int name, void* value, uint length);

    /// <summary>Writes sockaddr_in or sockaddr_in6; returns its length.</summary>
    public static int WriteAddress(IPEndPoint endPoint, Span<byte> destination)
    {
        var address = endPoint.Serialize();
        address.Buffer.Span[..address.Size].CopyTo(destination);
        return address.Size;
    }

    public static IPEndPoint ReadAddress(ReadOnlySpan<byte> source)
    {
        var v4 = source[0] == 2;
        var family = v4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        var address = new SocketAddress(family, source.Length);
        source.CopyTo(address.Buffer.Span);
        return (IPEndPoint)new IPEndPoint(v4 ? IPAddress.Any : IPAddress.IPv6Any, 0).Create(address);
    }
}

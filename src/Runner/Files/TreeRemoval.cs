using System.Text;
using Microsoft.Win32.SafeHandles;
using Runtara.Runner.Native;

namespace Runtara.Runner.Files;

/// <summary>
/// Removes trees that a hostile program made: links are removed and never followed, names need not be text, and depth
/// costs neither stack nor descriptors, because what lies deeper is first moved up.
/// </summary>
internal static class TreeRemoval
{
    private const int BufferBytes = 64 * 1024;

    /// <summary>
    /// Removes everything in a directory, whose entries only we make. What cannot be removed is passed over, and then
    /// the first cause is thrown as an <see cref="IOException"/>.
    /// </summary>
    internal static void Empty(SafeFileHandle directory, CancellationToken cancellation)
    {
        var buffer = new byte[BufferBytes];
        IOException? failure;
        int removed;
        do
        {
            (failure, removed) = (null, 0);
            // Opened anew, to read from the beginning: removing while reading may pass over entries.
            using var reading = DirectoryCalls.Open(directory, [(byte)'.', 0]);
            for (var found = DirectoryCalls.Read(reading, buffer);
                found.Count > 0;
                found = DirectoryCalls.Read(reading, buffer))
            {
                foreach (var name in found)
                {
                    try
                    {
                        while (!DirectoryCalls.Remove(directory, name))
                            Flatten(directory, name, cancellation);
                        removed++;
                    }
                    catch (IOException e)
                    {
                        failure ??= e;
                    }
                }
            }
        }
        while (removed > 0);
        if (failure is not null)
            throw failure;
    }

    // Afterwards the directory is empty, but for what somebody put there meanwhile.
    private static void Flatten(SafeFileHandle into, byte[] name, CancellationToken cancellation)
    {
        var buffer = new byte[BufferBytes];
        using var child = DirectoryCalls.Open(into, name);
        for (var entries = DirectoryCalls.Read(child, buffer);
            entries.Count > 0;
            entries = DirectoryCalls.Read(child, buffer))
        {
            foreach (var entry in entries)
            {
                cancellation.ThrowIfCancellationRequested();
                if (!DirectoryCalls.Remove(child, entry))
                    DirectoryCalls.Move(child, entry, into, Fresh());
            }
        }
    }

    /// <summary>A file name that nothing else has.</summary>
    internal static byte[] Fresh() => Encoding.ASCII.GetBytes($"{Guid.NewGuid():N}\0");
}

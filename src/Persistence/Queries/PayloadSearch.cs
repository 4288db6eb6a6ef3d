using System.Buffers;
using System.Text;

namespace Runtara.Persistence.Queries;

/// <summary>
/// Looks for a text in payloads. It is done here and not by the database, because neither database has a case mapping
/// and a decoding of broken UTF-8 that the other one has too. A payload is decoded piece by piece.
/// </summary>
internal sealed class PayloadSearch(string text)
{
    private const int PieceBytes = 32 * 1024;

    public bool IsIn(ReadOnlySpan<byte> payload)
    {
        if (payload.IsEmpty)
            return false;
        if (text.Length == 0)
            return true;
        // A match may lie across two pieces: what it could have of the first one stays at the front of the buffer.
        var kept = 0;
        var decoder = Encoding.UTF8.GetDecoder();
        var buffer = ArrayPool<char>.Shared.Rent(text.Length + Encoding.UTF8.GetMaxCharCount(PieceBytes));
        try
        {
            while (true)
            {
                var piece = payload[..Math.Min(payload.Length, PieceBytes)];
                payload = payload[piece.Length..];
                var chars = kept + decoder.GetChars(piece, buffer.AsSpan(kept), flush: payload.IsEmpty);
                if (buffer.AsSpan(0, chars).Contains(text, StringComparison.OrdinalIgnoreCase))
                    return true;
                if (payload.IsEmpty)
                    return false;
                kept = Math.Min(chars, text.Length - 1);
                buffer.AsSpan(chars - kept, kept).CopyTo(buffer);
            }
        }
        finally
        {
            ArrayPool<char>.Shared.Return(buffer);
        }
    }
}

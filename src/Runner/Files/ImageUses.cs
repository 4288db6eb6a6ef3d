namespace Runtara.Runner.Files;

/// <summary>Which images containers run from, each as often as it is used. Safe for any thread.</summary>
internal sealed class ImageUses
{
    private readonly Dictionary<string, int> _counts = [];

    /// <summary>Counts a use until disposed; of null, every image is in use.</summary>
    internal IDisposable Begin(string? sha256)
    {
        var key = sha256 ?? "";
        lock (_counts)
            _counts[key] = _counts.GetValueOrDefault(key) + 1;
        return new Use(this, key);
    }

    internal bool Has(string sha256)
    {
        lock (_counts)
            return _counts.ContainsKey(sha256) || _counts.ContainsKey("");
    }

    private void End(string key)
    {
        lock (_counts)
        {
            if (--_counts[key] == 0)
                _counts.Remove(key);
        }
    }

    private sealed class Use(ImageUses uses, string key) : IDisposable
    {
        private int _disposed;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) == 0)
                uses.End(key);
        }
    }
}

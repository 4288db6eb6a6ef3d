namespace Runtara.Runner.Files;

/// <summary>Which images containers run from, each as often as it is used. Safe for any thread.</summary>
internal sealed class ImageUses
{
    private readonly Lock _gate = new();
    private readonly HashSet<Use> _uses = [];
    private readonly List<(HashSet<Use> Uses, Action Then)> _waiting = [];

    /// <summary>Counts a use until disposed; of null, every image is in use.</summary>
    internal IDisposable Begin(string? sha256)
    {
        var use = new Use(this, sha256);
        lock (_gate)
            _uses.Add(use);
        return use;
    }

    internal bool Has(string sha256)
    {
        lock (_gate)
            return _uses.Any(u => u.IsOf(sha256));
    }

    /// <summary>
    /// Does something, which must not throw, when the uses that there are now are over; at once when there is none.
    /// </summary>
    internal void WhenOver(string sha256, Action then)
    {
        lock (_gate)
        {
            var uses = _uses.Where(u => u.IsOf(sha256)).ToHashSet();
            if (uses.Count > 0)
            {
                _waiting.Add((uses, then));
                return;
            }
        }
        then();
    }

    private void End(Use use)
    {
        List<Action> over;
        lock (_gate)
        {
            _uses.Remove(use);
            over = [.. _waiting.Where(w => w.Uses.Remove(use) && w.Uses.Count == 0).Select(w => w.Then)];
            _waiting.RemoveAll(w => w.Uses.Count == 0);
        }
        over.ForEach(then => then());
    }

    private sealed class Use(ImageUses uses, string? sha256) : IDisposable
    {
        private int _disposed;

        internal bool IsOf(string image) => sha256 is null || sha256 == image;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _disposed, 1) == 0)
                uses.End(this);
        }
    }
}

namespace Runtara.Client;

public sealed partial class RuntaraClient
{
    private static readonly TimeSpan LongestPoll = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LastQuestion = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestOutage = TimeSpan.FromMinutes(2);

    /// <summary>Waits until an instance is final, over restarts of the server and outages of its database of up to two
    /// minutes.</summary>
    /// <param name="instanceId">Id.</param>
    /// <param name="poll">Time between the first questions; it grows to 5 s. Default 500 ms.</param>
    /// <param name="deadline">Longest wait; null for ever. The last question may take a second more.</param>
    /// <param name="progress">Told of every answer.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <returns>The instance, completed, failed or cancelled.</returns>
    /// <exception cref="WaitDeadlineException">Not final by the deadline; the instance goes on.</exception>
    /// <exception cref="InstanceNotFoundException">There is none.</exception>
    public async Task<InstanceInfo> WaitAsync(
        string instanceId,
        TimeSpan? poll = null,
        TimeSpan? deadline = null,
        IProgress<InstanceInfo>? progress = null,
        CancellationToken ct = default)
    {
        var interval = poll ?? TimeSpan.FromMilliseconds(500);
        var (begun, heardAt) = (_options.Time.GetTimestamp(), _options.Time.GetTimestamp());
        while (true)
        {
            try
            {
                var info = await GetStatusAsync(instanceId, Left(), ct);
                heardAt = _options.Time.GetTimestamp();
                progress?.Report(info);
                if (info.Status.IsFinal())
                    return info;
            }
            catch (RuntaraException outage) when (IsOutage(outage)
                && _options.Time.GetElapsedTime(heardAt) < LongestOutage)
            {
                // The server restarts; the instance is durable, so asking on is all there is to do.
            }

            var left = Left();
            if (left <= TimeSpan.Zero)
            {
                throw new WaitDeadlineException(
                    $"Instance '{instanceId}' is not final after {deadline}.",
                    "It goes on; wait again, or stop it.");
            }

            await Task.Delay(left < interval ? left : interval, _options.Time, ct);
            interval = interval >= LongestPoll ? interval : Min(interval * 1.2, LongestPoll);
        }

        TimeSpan Left() => (deadline ?? TimeSpan.MaxValue) - _options.Time.GetElapsedTime(begun);
    }

    private static bool IsOutage(RuntaraException failure) =>
        failure is RuntaraConnectionException or RuntaraTimeoutException || Calls.MayPass(failure);

    /// <exception cref="RuntaraTimeoutException">No answer in what is left, or in a second if that is less.</exception>
    private async Task<InstanceInfo> GetStatusAsync(string instanceId, TimeSpan left, CancellationToken ct)
    {
        var longest = left < LastQuestion ? LastQuestion : Min(left, LongestOutage);
        using var late = new CancellationTokenSource(longest, _options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, ct);
        try
        {
            return await GetInstanceStatusAsync(instanceId, either.Token);
        }
        catch (OperationCanceledException canceled) when (late.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new RuntaraTimeoutException(
                $"No reply about instance '{instanceId}' from {_options.Server} in {longest}.",
                "Check the server's load and log.",
                canceled);
        }
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}

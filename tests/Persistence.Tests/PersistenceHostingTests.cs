using Akka.Actor;
using Akka.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Runtara.Persistence.Tests.Journal;

namespace Runtara.Persistence.Tests;

public sealed class PersistenceHostingTests(SqliteFixture one, PersistenceHostingTests.Another two)
    : IClassFixture<SqliteFixture>, IClassFixture<PersistenceHostingTests.Another>
{
    [Fact]
    public async Task Two_systems_of_one_process_keep_to_their_own_stores()
    {
        await using var first = Start(one.Store);
        await using var second = Start(two.Fixture.Store);
        Assert.Equal(1, await CountAsync(first));
        Assert.Equal(2, await CountAsync(first));
        Assert.Equal(1, await CountAsync(second));
        Assert.Equal(2L, await one.ExecuteAsync("SELECT count(*) FROM journal"));
        Assert.Equal(1L, await two.Fixture.ExecuteAsync("SELECT count(*) FROM journal"));
        await first.GetRequiredService<ActorSystem>().Terminate();
        await second.GetRequiredService<ActorSystem>().Terminate();
    }

    private static async Task<int> CountAsync(ServiceProvider services)
    {
        var actor = services.GetRequiredService<ActorSystem>().ActorOf(Props.Create(typeof(Counter), "counter"));
        var count = await actor.Ask<int>("count", TimeSpan.FromSeconds(10));
        await actor.GracefulStop(TimeSpan.FromSeconds(10), "stop");
        return count;
    }

    private static ServiceProvider Start(Store store) => new ServiceCollection().AddAkka("same-name", builder => builder
        .AddRuntaraJournal(store)
        .AddHocon(TestSystem.Config, HoconAddMode.Append)).BuildServiceProvider();

    public sealed class Another : IAsyncLifetime
    {
        public SqliteFixture Fixture { get; } = new();

        public Task InitializeAsync() => Fixture.InitializeAsync();

        public Task DisposeAsync() => Fixture.DisposeAsync();
    }
}

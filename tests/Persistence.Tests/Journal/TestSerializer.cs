using System.Text.Json;
using System.Text.Json.Serialization;
using Akka.Actor;
using Akka.Serialization;
using Runtara.Actors.Instances;
using Runtara.Actors.Journal;

namespace Runtara.Persistence.Tests.Journal;

/// <summary>Stands in for the journal's own serializer: JSON, with the transient bytes left out as there.</summary>
public sealed class TestSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    private static readonly JsonSerializerOptions Options = new() { Converters = { new NoBytes() } };

    public override int Identifier => 9001;

    public override string Manifest(object o) => o.GetType().Name;

    public override byte[] ToBinary(object obj) => obj is Unserializable
        ? throw new NotSupportedException("cannot be serialized")
        : JsonSerializer.SerializeToUtf8Bytes(obj, obj.GetType(), Options);

    public override object FromBinary(byte[] bytes, string manifest) =>
        JsonSerializer.Deserialize(bytes, TypeOf(manifest), Options)!;

    private static Type TypeOf(string manifest) => manifest == nameof(Blob)
        ? typeof(Blob)
        : typeof(InstanceEvent).GetNestedType(manifest) ?? throw new ArgumentException(manifest);

    private sealed class NoBytes : JsonConverter<ReadOnlyMemory<byte>>
    {
        public override ReadOnlyMemory<byte> Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options)
        {
            reader.Skip();
            return default;
        }

        public override void Write(Utf8JsonWriter writer, ReadOnlyMemory<byte> value, JsonSerializerOptions options) =>
            writer.WriteNullValue();
    }
}

/// <summary>An event of any size.</summary>
public sealed record Blob(string Text);

/// <summary>An event that the serializer refuses.</summary>
public sealed record Unserializable;

public static class TestSystem
{
    // 20 s for a message: a database that fails is asked again and again, and the machine may be busy.
    public static readonly Akka.Configuration.Config Config = Akka.Configuration.ConfigurationFactory.ParseString(
        $$"""
        akka.loglevel = WARNING
        akka.test.single-expect-default = 20s
        akka.persistence.publish-plugin-commands = on
        akka.actor.serializers.test = "{{typeof(TestSerializer).AssemblyQualifiedName}}"
        akka.actor.serializers.snapshot = "{{typeof(InstanceSnapshotSerializer).AssemblyQualifiedName}}"
        akka.actor.serialization-bindings {
          "{{typeof(InstanceSnapshot).AssemblyQualifiedName}}" = snapshot
          "{{typeof(InstanceEvent).AssemblyQualifiedName}}" = test
          "{{typeof(Blob).AssemblyQualifiedName}}" = test
          "{{typeof(Unserializable).AssemblyQualifiedName}}" = test
        }
        """).WithFallback(PersistenceHosting.Config);

    public static Akka.Actor.Setup.ActorSystemSetup Setup(Store store, string hocon = "") =>
        BootstrapSetup.Create()
            .WithConfig(Akka.Configuration.ConfigurationFactory.ParseString(hocon).WithFallback(Config))
            .And(new JournalSetup(store));
}

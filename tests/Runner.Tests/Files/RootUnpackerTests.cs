using System.Buffers.Binary;
using System.Formats.Tar;
using System.Text;
using Runtara.Runner.Files;
using TarReader = Runtara.Runner.Files.TarReader;

namespace Runtara.Runner.Tests.Files;

public sealed class RootUnpackerTests : IDisposable
{
    private const string TooMany = "has more than 50 files, directories and links (images.entries-max)";
    private static readonly ImageLimits Limits = new(1_000_000, 50);
    private readonly string _home = Directory.CreateTempSubdirectory("runtara-root-").FullName;

    private string Root => Path.Combine(_home, "rootfs");

    [Fact]
    public void Files_directories_and_links_come_out_as_they_went_in()
    {
        Unpack(
            Tars.Directory("./"), Tars.Directory("./app/"), Tars.File("./app/run", "program"),
            Tars.File("no/entry/for/its/directory"), Tars.Link("bin", "usr/bin"), Tars.Link("abs", "/app/run"),
            Tars.HardLink("app/same", "./app/run"), Tars.File("empty", ""));
        Assert.Equal("program", Text("app/run"));
        Assert.Equal("program", Text("app/same"));
        Assert.Equal("text", Text("no/entry/for/its/directory"));
        Assert.Equal("", Text("empty"));
        Assert.Equal("usr/bin", new FileInfo(Path.Combine(Root, "bin")).LinkTarget);
        Assert.Equal("/app/run", new FileInfo(Path.Combine(Root, "abs")).LinkTarget);
    }

    [Fact]
    public void What_is_mounted_upon_is_there_and_a_link_in_its_place_is_replaced()
    {
        Unpack(Tars.Link("etc/resolv.conf", "../run/stub"), Tars.File("etc/hosts", "mine"), Tars.Directory("tmp"));
        foreach (var name in (string[])["proc", "dev", "data", "tmp", "etc"])
            Assert.True(Directory.Exists(Path.Combine(Root, name)), name);
        Assert.Null(new FileInfo(Path.Combine(Root, "etc/resolv.conf")).LinkTarget);
        Assert.Equal(("", "mine"), (Text("etc/resolv.conf"), Text("etc/hosts")));
    }

    [Theory]
    [InlineData("data")]
    [InlineData("etc")]
    public void What_is_mounted_upon_must_be_a_directory(string name)
    {
        var outside = Directory.CreateDirectory(Path.Combine(_home, "outside")).FullName;
        Refused($"needs '{name}' to be a directory, but it is a link or a file", Tars.Link(name, outside));
        Assert.Empty(Directory.GetFileSystemEntries(outside));
    }

    [Theory]
    [InlineData("/etc/passwd", "absolute path")]
    [InlineData("../outside", "leads out of the root")]
    [InlineData("a/../../outside", "leads out of the root")]
    [InlineData("a/..", "leads out of the root")]
    public void A_name_cannot_lead_out_of_the_root(string name, string problem)
    {
        Refused(problem, Tars.File(name));
        Assert.Equal(["rootfs"], Directory.GetFileSystemEntries(_home).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_link_cannot_lead_a_later_entry_out_of_the_root(bool relative)
    {
        var outside = Directory.CreateDirectory(Path.Combine(_home, "outside")).FullName;
        var link = Tars.Link("a/link", relative ? "../../outside" : outside);
        Refused("is a link or a file", link, Tars.File("a/link/file"));
        Refused("is a link or a file", link, Tars.Directory("a/link/directory"));
        Refused("is a link or a file", link, Tars.Directory("a/link"));
        Refused("is a link or a file", link, Tars.File("file"), Tars.HardLink("a/link/hard", "file"));
        Assert.Empty(Directory.GetFileSystemEntries(outside));
    }

    [Fact]
    public void A_file_in_the_place_of_a_link_replaces_the_link_and_not_what_it_leads_to()
    {
        var outside = Path.Combine(_home, "victim");
        File.WriteAllText(outside, "untouched");
        Unpack(Tars.Link("file", outside), Tars.File("file", "mine"));
        Assert.Equal(("mine", "untouched"), (Text("file"), File.ReadAllText(outside)));
        Assert.Null(new FileInfo(Path.Combine(Root, "file")).LinkTarget);
    }

    [Fact]
    public void A_hard_link_cannot_lead_out_of_the_root()
    {
        var outside = Path.Combine(_home, "victim");
        File.WriteAllText(outside, "secret");
        Refused("absolute path", Tars.HardLink("hard", outside));
        Refused("leads out of the root", Tars.HardLink("hard", "../victim"));
        Refused("is no file before it", Tars.Link("soft", outside), Tars.HardLink("hard", "soft"));
        Refused("is a link or a file", Tars.Link("home", _home), Tars.HardLink("hard", "home/victim"));
        Refused("is a hard link to 'hard'", Tars.File("hard"), Tars.HardLink("hard", "hard"));
    }

    [Theory]
    [InlineData(TarEntryType.CharacterDevice, "is a device")]
    [InlineData(TarEntryType.BlockDevice, "is a device")]
    [InlineData(TarEntryType.Fifo, "is a named pipe")]
    public void Devices_and_pipes_are_refused(TarEntryType type, string problem) =>
        Refused($"'dev/x' {problem}", Tars.Other("dev/x", type));

    [Fact]
    public void Set_id_bits_capabilities_and_write_permission_of_others_are_taken_away()
    {
        var capable = new PaxTarEntry(
            TarEntryType.RegularFile, "capable",
            [new("SCHILY.xattr.security.capability", "\u0001\u0002\u0003"), new("SCHILY.xattr.user.note", "x")])
        {
            Mode = (UnixFileMode)0x1ed, DataStream = new MemoryStream([1]),
        };
        Unpack(
            Tars.File("setid", [1], (UnixFileMode)0xfff), Tars.Directory("open", (UnixFileMode)0xfff),
            Tars.File("shut", [1], UnixFileMode.None), Tars.Directory("closed", UnixFileMode.None),
            Tars.File("closed/in", "kept"), capable);
        Assert.Equal(
            (0x1ed, 0x1ed, 0x100, 0x1c0), (Mode("setid"), Mode("open"), Mode("shut"), Mode("closed")));
        Assert.Equal("kept", Text("closed/in"));
        using var attributes = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(
            "python3", ["-c", "import os,sys; print(os.listxattr(sys.argv[1]))", Path.Combine(Root, "capable")])
        {
            RedirectStandardOutput = true,
        })!;
        Assert.Equal("[]", attributes.StandardOutput.ReadToEnd().Trim());
    }

    [Fact]
    public void A_small_upload_cannot_become_a_large_root()
    {
        var bomb = Tars.Gzip(Tars.Of(Tars.File("zeros", new byte[1_000_001])));
        Assert.InRange(bomb.Length, 1, 20_000);
        Assert.Contains("unpacks to more than 1000000 bytes (images.unpacked-max-bytes)", Refusal(bomb));
        var many = Tars.Of(Enumerable.Range(0, 10).Select(i => Tars.File($"f{i}", new byte[150_000])).ToArray());
        Assert.Contains("unpacks to more than 1000000 bytes", Refusal(many));
    }

    [Fact]
    public void A_root_has_a_bounded_number_of_entries() => Refused(
        TooMany, Enumerable.Range(0, 60).Select(i => Tars.Directory($"d{i}")).ToArray());

    [Fact]
    public void Directories_that_a_path_implies_count()
    {
        Refused(TooMany, Tars.File(string.Join('/', Enumerable.Repeat("d", 60)) + "/f"));
        Refused(TooMany, Enumerable.Range(0, 30).Select(i => Tars.File($"d{i}/f")).ToArray());
    }

    [Fact]
    public void What_only_describes_an_entry_does_not_count()
    {
        var name = new string('n', 150);
        Unpack(Enumerable.Range(0, 50).Select(i => Tars.File($"{name}{i}")).ToArray());
        Assert.Equal("text", Text($"{name}49"));
    }

    [Fact]
    public void One_entry_has_a_bounded_number_of_headers()
    {
        var one = Tars.Of(Tars.File(new string('n', 150)));
        Assert.Equal((byte)'x', one[156]);
        // The header with its block of records, and nothing after it that it describes.
        var header = one[..1024];
        var tar = Enumerable.Repeat(header, 40).SelectMany(b => b).Concat(one).ToArray();
        Assert.Contains("has more than 16 headers before one entry", Refusal(tar));
    }

    [Fact]
    public void A_header_cannot_claim_more_names_than_fit_in_memory()
    {
        var tar = Tars.Of(Tars.File(new string('n', 150)));
        Assert.Equal((byte)'x', tar[156]);
        SetSize(tar, 900_000);
        Assert.Contains("has an entry with 900000 bytes of names and attributes", Refusal(tar));
        SetSize(tar, 1L << 33);
        Assert.Contains("unpacks to more than", Refusal(tar));
    }

    [Fact]
    public void A_size_that_makes_no_sense_is_refused()
    {
        var tar = Tars.Of(new V7TarEntry(TarEntryType.V7RegularFile, "f") { DataStream = new MemoryStream([1]) });
        // GNU's binary numbers: the largest that there is.
        tar.AsSpan(124, 12).Fill(0xff);
        SetChecksum(tar);
        Assert.Contains("number that is too large", Refusal(tar));
    }

    [Fact]
    public void A_tar_that_is_cut_off_or_damaged_is_refused()
    {
        var tar = Tars.Of(Tars.File("a", new string('x', 5000)), Tars.File("b"));
        Assert.Contains("ends within an entry", Refusal(tar[..3000]));
        var damaged = tar.ToArray();
        damaged[^(512 * 4)] ^= 1;
        Assert.Contains("is no tar after", Refusal(damaged));
    }

    [Fact]
    public void A_file_in_the_place_of_a_directory_is_refused() =>
        Refused("'d' takes the place of a directory", Tars.File("d/f"), Tars.File("d"));

    [Theory]
    [InlineData(TarEntryFormat.V7)]
    [InlineData(TarEntryFormat.Ustar)]
    [InlineData(TarEntryFormat.Gnu)]
    [InlineData(TarEntryFormat.Pax)]
    public void Every_dialect_is_read(TarEntryFormat format)
    {
        var name = format == TarEntryFormat.V7 ? "dir/plain" : $"{new string('d', 90)}/{new string('f', 90)}";
        var source = Directory.CreateDirectory(Path.Combine(_home, "source")).FullName;
        File.WriteAllText(Path.Combine(source, "f"), "content");
        var tar = new MemoryStream();
        using (var writer = new TarWriter(tar, format, leaveOpen: true))
            writer.WriteEntry(Path.Combine(source, "f"), name);
        Unpack(tar.ToArray());
        Assert.Equal("content", Text(name));
    }

    [Fact]
    public void Modification_times_are_kept()
    {
        var file = Tars.File("old");
        file.ModificationTime = DateTimeOffset.UnixEpoch.AddDays(10_000);
        Unpack(file);
        Assert.Equal(file.ModificationTime, File.GetLastWriteTimeUtc(Path.Combine(Root, "old")));
    }

    private static void SetSize(byte[] tar, long size)
    {
        tar.AsSpan(124, 12).Clear();
        tar[124] = 0x80;
        BinaryPrimitives.WriteInt64BigEndian(tar.AsSpan(128, 8), size);
        SetChecksum(tar);
    }

    private static void SetChecksum(byte[] tar)
    {
        tar.AsSpan(148, 8).Fill((byte)' ');
        var sum = 0;
        foreach (var b in tar.AsSpan(0, 512))
            sum += b;
        Encoding.ASCII.GetBytes(Convert.ToString(sum, 8).PadLeft(6, '0') + "\0 ", tar.AsSpan(148, 8));
    }

    private void Unpack(params System.Formats.Tar.TarEntry[] entries) => Unpack(Tars.Of(entries));

    private void Unpack(byte[] image)
    {
        if (Directory.Exists(Root))
            Directory.Delete(Root, recursive: true);
        using var unpacker = new RootUnpacker(Root, Limits.EntriesMax);
        using var tar = Actors.Images.ImageFormats.OpenTar(
            new MemoryStream(image), Actors.Images.ImageFormats.Recognise(image)!.Value);
        unpacker.Unpack(new TarReader(tar, Limits), default);
        unpacker.MakeMountPoints();
    }

    private string Refusal(byte[] image) => Assert.Throws<BadImageException>(() => Unpack(image)).Message;

    private void Refused(string problem, params System.Formats.Tar.TarEntry[] entries) =>
        Assert.Contains(problem, Refusal(Tars.Of(entries)), StringComparison.Ordinal);

    private string Text(string path) => File.ReadAllText(Path.Combine(Root, path));

    private int Mode(string path) => (int)File.GetUnixFileMode(Path.Combine(Root, path));

    public void Dispose() => Directory.Delete(_home, recursive: true);
}

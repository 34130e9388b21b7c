// Goal: what tools/redis ships works as it says: both configuration files start and pass our own
// check, rotate keeps five sound copies and hands one a day off, restore-drill tells a copy that
// restores from one that does not. Method: the files themselves, with real servers.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "persist/redis_settings.h"
#include "persist/run_tool.h"
#include "tests/redis/shipped.h"
#include "tests/redis/sink_fixture.h"

namespace millrace::redis_test {
namespace {

namespace fs = std::filesystem;

/// How a tool ended, and all that it said.
struct Ended {
    bool ok = false;
    std::string said;
};
Ended run(const std::vector<std::string>& words) {
    std::string complaint;
    const auto output = run_tool({words}, complaint);
    Ended e{output.ok(), complaint};
    if (output) {
        e.said += std::string{reinterpret_cast<const char*>(output.value().data()),
                              output.value().size()};
    }
    return e;
}

/// A server of the shipped redis.conf. RedisProcess sets port, address and directory of its own
/// first; the shipped file's are taken out.
RedisProcess::Options shipped(const std::string& directory, std::uint16_t port,
                              const std::string& extra = "") {
    return {directory, port, false,
            edited("redis.conf", {{"bind", ""}, {"port", ""}, {"dir", ""}}) + extra};
}

TEST(RedisShippedFiles, StartAServerThatOurOwnCheckFindsNothingWrongWith) {
    const TempDir dir;
    RedisProcess redis{shipped(dir.path() + "/one", free_port())};
    redis.start();
    RedisLink link = redis.link();
    const auto settings = check_redis_settings(link, true);
    EXPECT_GE(settings.size(), 7U);
    for (const RedisSetting& s : settings) {
        EXPECT_EQ(s.verdict, RedisSetting::Verdict::Good) << s.text();
    }
    // What the check does not look at.
    for (const auto& [name, value] :
         std::initializer_list<std::pair<const char*, const char*>>{{"save", "300 1"},
                                                                    {"appendfsync", "everysec"},
                                                                    {"tcp-backlog", "1024"},
                                                                    {"tcp-keepalive", "15"}}) {
        EXPECT_EQ(redis.ask({"CONFIG", "GET", name}), std::string{name} + " " + value);
    }
    EXPECT_NE(redis.ask({"SET", "a", "b"}).find("NOREPLICAS"), std::string::npos)
        << "the file says so of a server without a replica";
}

TEST(RedisShippedFiles, NameNothingThatTheOldestServerOfOursDoesNotKnow) {
    // New in 7.0: with one of these 6.2 refuses to start.
    for (const char* added :
         {"busy-reply-threshold", "shutdown-timeout", "latency-tracking", "set-max-intset",
          "listpack", "appenddirname", "aof-timestamp-enabled", "enable-debug-command"}) {
        for (const char* file : {"redis.conf", "sentinel.conf"}) {
            for (const std::string& line : lines_of(file)) {
                EXPECT_EQ(line.find(added), std::string::npos) << file << ": " << line;
            }
        }
    }
}

TEST(RedisShippedFiles, LetThreeSentinelsAgreeOnAPrimaryOnceTheAddressesAreEdited) {
    const TempDir dir;
    RedisProcess primary{shipped(dir.path() + "/primary", free_port())};
    primary.start();
    const std::string at = std::to_string(primary.at().port);
    RedisProcess replica{
        shipped(dir.path() + "/replica", free_port(), "replicaof 127.0.0.1 " + at + "\n")};
    replica.start();
    std::vector<std::unique_ptr<RedisProcess>> sentinels;
    for (int i = 0; i < 3; ++i) {
        sentinels.push_back(std::make_unique<RedisProcess>(RedisProcess::Options{
            dir.path() + "/sentinel" + std::to_string(i), free_port(), true,
            edited("sentinel.conf",
                   {{"bind", ""},
                    {"port", ""},
                    {"dir", ""},
                    {"sentinel announce-ip", "sentinel announce-ip 127.0.0.1"},
                    {"sentinel monitor", "sentinel monitor mymaster 127.0.0.1 " + at + " 2"}})}));
        sentinels.back()->start();
    }
    for (const auto& s : sentinels) {
        EXPECT_TRUE(eventually([&] {
            RedisLink link = s->link();
            const auto about = link.call({"SENTINEL", "MASTER", "mymaster"});
            return about.ok() && about.value().field("num-other-sentinels").integer() == 2 &&
                   about.value().field("num-slaves").integer() == 1 &&
                   link.call({"SENTINEL", "CKQUORUM", "mymaster"}).ok();
        })) << s->log();
        RedisLink link = s->link();
        const auto about = link.call({"SENTINEL", "MASTER", "mymaster"});
        ASSERT_TRUE(about.ok()) << link.message();
        // Requirement C3.
        EXPECT_EQ(about.value().field("down-after-milliseconds").integer(), 1000);
        EXPECT_EQ(about.value().field("failover-timeout").integer(), 5000);
        EXPECT_EQ(about.value().field("quorum").integer(), 2);
    }
    EXPECT_EQ(primary.ask({"SET", "a", "b"}), "OK") << "it has a replica";
}

TEST(RedisShippedFiles, DoNotStartASentinelThatWouldAnnounceLoopback) {
    const TempDir dir;
    std::ofstream{dir.path() + "/sentinel.conf"} << text_of(kTools + "sentinel.conf");
    for (const std::string& line : lines_of("sentinel.conf")) {
        const bool address =
            line.starts_with("sentinel monitor") || line.starts_with("sentinel announce-ip");
        EXPECT_FALSE(address && line.find("127.0.0.1") != std::string::npos) << line;
    }
    const Ended e = run({"/bin/sh", "-c", "exec \"$@\" >&2", "sh", "redis-sentinel",
                         dir.path() + "/sentinel.conf", "--port", std::to_string(free_port()),
                         "--dir", dir.path()});
    EXPECT_FALSE(e.ok) << "not edited, it must not run";
    EXPECT_NE(e.said.find("listening socket 10.0.0.11"), std::string::npos)
        << "not for the address that it is to be given: " << e.said;
}

// ---- copies ------------------------------------------------------------------------------------

class RedisCopies : public RedisSinkFixture {
protected:
    void SetUp() override {
        RedisSinkFixture::SetUp();
        redis_ = server("one");
        hook_ = dir_.path() + "/hook";
        write_hook("echo \"$1\" >>'" + dir_.path() + "/taken'\n");
    }
    void write_hook(const std::string& body) {
        std::ofstream{hook_} << "#!/bin/sh\n" << body;
        fs::permissions(hook_, fs::perms::owner_all);
    }
    /// Another dump than the one before.
    void dump() {
        (void)redis_->ask({"INCR", "changes"});
        EXPECT_EQ(redis_->ask({"SAVE"}), "OK");
    }
    Ended rotate(bool with_hook = false) {
        std::vector<std::string> words = {kTools + "rotate", dumped(), copies_};
        if (with_hook) {
            words.push_back(hook_);
        }
        return run(words);
    }
    Ended drill(const std::string& copy) { return run({kTools + "restore-drill", copy}); }
    [[nodiscard]] std::string dumped() const { return dir_.path() + "/one/dump.rdb"; }
    /// Oldest first.
    [[nodiscard]] std::vector<std::string> copies() const {
        std::vector<std::string> found;
        for (const auto& e : fs::directory_iterator{copies_}) {
            if (e.path().extension() == ".rdb") {
                found.push_back(e.path().string());
            }
        }
        std::sort(found.begin(), found.end());
        return found;
    }
    /// Paths that the hook was called with, one a line.
    [[nodiscard]] std::string taken() const { return text_of(dir_.path() + "/taken"); }

    std::unique_ptr<RedisProcess> redis_;
    std::string copies_ = dir_.path() + "/copies";
    std::string hook_;
};

void flip(const std::string& file, std::size_t at) {
    std::string text = text_of(file);
    ASSERT_LT(at, text.size());
    text[at] = static_cast<char>(text[at] ^ 1);
    std::ofstream{file, std::ios::binary} << text;
}

TEST_F(RedisCopies, AreTheLastFiveOfWhatChangedEachWithItsChecksum) {
    for (int i = 1; i <= 7; ++i) {
        dump();
        const Ended e = rotate();
        ASSERT_TRUE(e.ok) << e.said;
        EXPECT_TRUE(rotate().ok);
        EXPECT_EQ(copies().size(), std::min(i, 5)) << "the same dump again makes no copy";
    }
    const auto kept = copies();
    EXPECT_EQ(text_of(kept.back()), text_of(dumped()));
    for (const std::string& copy : kept) {
        const Ended e =
            run({"sh", "-c", "cd \"$1\" && sha256sum -c \"$2.sha256\"", "sh", copies_, copy});
        EXPECT_TRUE(e.ok) << e.said;
    }
    std::size_t files = 0;
    for (const auto& e : fs::directory_iterator{copies_}) {
        files += e.path().filename().string().front() == '.' ? 0 : 1;
    }
    EXPECT_EQ(files, 10U) << "checksums of removed copies are left";
    // Two of them went: the oldest that is left holds 3 changes.
    RedisProcess old{{dir_.path() + "/old", free_port()}};
    fs::copy_file(kept.front(), dir_.path() + "/old/dump.rdb");
    old.start();
    EXPECT_EQ(old.ask({"GET", "changes"}), "3");
}

TEST_F(RedisCopies, OfADamagedDumpAreNotMadeAndTheOthersStay) {
    dump();
    ASSERT_TRUE(rotate().ok);
    const auto before = copies();
    dump();
    flip(dumped(), text_of(dumped()).size() / 2);
    const Ended e = rotate();
    EXPECT_FALSE(e.ok);
    EXPECT_NE(e.said.find("is damaged; the copies that were kept stay"), std::string::npos)
        << e.said;
    EXPECT_EQ(copies(), before);
}

TEST_F(RedisCopies, AreHandedOffTheHostOnceADayAndAgainAfterAFailure) {
    write_hook("exit 3\n");
    dump();
    const Ended failed = rotate(true);
    EXPECT_FALSE(failed.ok);
    EXPECT_NE(failed.said.find("the next run tries again"), std::string::npos) << failed.said;
    ASSERT_EQ(copies().size(), 1U) << "the copy itself is kept";
    write_hook("echo \"$1\" >>'" + dir_.path() + "/taken'\n");
    EXPECT_TRUE(rotate(true).ok);
    EXPECT_EQ(taken(), copies().back() + "\n") << "although the dump has not changed since";
    dump();
    EXPECT_TRUE(rotate(true).ok);
    EXPECT_EQ(taken(), copies().front() + "\n") << "once a day";
    std::ofstream{copies_ + "/.off-host"} << "2001-01-01\n";  // as it was left yesterday
    EXPECT_TRUE(rotate(true).ok);
    EXPECT_EQ(taken(), copies().front() + "\n" + copies().back() + "\n");
}

TEST_F(RedisCopies, PassTheDrillAndNoLongerOnceAByteWasFlipped) {
    *last_ = 120;
    ASSERT_TRUE(run_to(*sink(options(*redis_)), 120));
    dump();
    ASSERT_TRUE(rotate().ok);
    const Ended good = drill(copies_);
    EXPECT_TRUE(good.ok) << good.said;
    EXPECT_NE(good.said.find("millrace:test: generation 1 up to record 120"), std::string::npos)
        << good.said;
    const std::string copy = copies().back();
    flip(copy, text_of(copy).size() / 2);
    EXPECT_NE(drill(copies_).said.find("does not fit its checksum"), std::string::npos);
    fs::remove(copy + ".sha256");
    const Ended damaged = drill(copy);
    EXPECT_FALSE(damaged.ok);
    EXPECT_NE(damaged.said.find("cannot be loaded"), std::string::npos) << damaged.said;
    EXPECT_FALSE(drill(dir_.path() + "/nothing-there").ok);
}

// Requirement C26: the append-only file if it is sound, else the dump with it off, then switched
// on.
TEST_F(RedisCopies, OfTheWholeDataDirectoryRestoreFromTheAppendOnlyFileElseFromTheDump) {
    *last_ = 60;
    ASSERT_TRUE(run_to(*sink(options(*redis_)), 60));
    dump();
    *last_ = 120;
    ASSERT_TRUE(run_to(*sink(options(*redis_)), 120));  // after the dump
    redis_->kill();
    const std::string data = dir_.path() + "/one";
    const Ended whole = drill(data);
    EXPECT_TRUE(whole.ok) << whole.said;
    EXPECT_NE(whole.said.find("appendonlydir loaded"), std::string::npos) << whole.said;
    EXPECT_NE(whole.said.find("up to record 120"), std::string::npos) << whole.said;
    std::string commands;
    for (const auto& e : fs::directory_iterator{data + "/appendonlydir"}) {
        if (e.path().string().ends_with(".incr.aof")) {
            commands = e.path().string();
        }
    }
    ASSERT_FALSE(commands.empty());
    const std::string all = text_of(commands);
    const std::size_t middle = all.find("\r\n*", all.size() / 2) + 2;
    flip(commands, middle);  // no protocol any more
    const Ended second = drill(data);
    EXPECT_TRUE(second.ok) << second.said;
    EXPECT_NE(second.said.find("appendonlydir does not load"), std::string::npos) << second.said;
    EXPECT_NE(second.said.find("dump.rdb loaded"), std::string::npos) << second.said;
    EXPECT_NE(second.said.find("up to record 60"), std::string::npos) << second.said;
    fs::remove(data + "/dump.rdb");
    const Ended nothing = drill(data);
    EXPECT_FALSE(nothing.ok);
    EXPECT_NE(nothing.said.find("begin with an empty server"), std::string::npos) << nothing.said;
}

}  // namespace
}  // namespace millrace::redis_test

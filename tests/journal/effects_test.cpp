// Goal: every effect is in the log once, in order, and a follower never steps over damage.
// Method: real files; replays from earlier records, cuts at every byte, damage at every byte.
#include "journal_fakes.h"
#include "persist/effects_log.h"

#include <fstream>

namespace millrace::testing {
namespace {

constexpr std::uint32_t effects_of(std::uint64_t seq) {
    return static_cast<std::uint32_t>(seq % 4);
}

LogCursor cursor_at(std::uint64_t seq) {
    return {1, Sequence{seq}, seq * 1'000'003};
}

Effect make_effect(std::uint64_t seq, std::uint32_t k) {
    Effect e = Effect::make(EffectKind::Alert, AlertRow{});
    e.seq = Sequence{seq};
    e.k = k;
    e.body[50] = static_cast<std::byte>(seq + k);
    return e;
}

void apply(EffectsWriter& writer, std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t seq = from; seq <= to; ++seq) {
        for (std::uint32_t k = 1; k <= effects_of(seq); ++k) {
            ASSERT_TRUE(writer.append(make_effect(seq, k)).ok());
        }
        ASSERT_TRUE(writer.end_of_record(cursor_at(seq)).ok());
    }
}

EffectsWriter open_writer(const TempDir& dir, std::uint64_t file_bytes = 16 * 1024) {
    std::string message;
    auto writer = EffectsWriter::open(dir.path(), {file_bytes}, message);
    EXPECT_TRUE(writer.ok()) << message;
    return std::move(writer).value();
}

// Follows from `reader` and checks order and completeness; returns the last mark.
std::uint64_t follow(EffectsReader& reader, EffectStatus& status) {
    std::uint64_t seq = 0;
    std::uint32_t k = 0;
    while ((status = reader.next()) == EffectStatus::Effect || status == EffectStatus::Mark) {
        if (status == EffectStatus::Effect) {
            const auto& e = reader.effect();
            k = e.seq.value == seq ? k + 1 : 1;
            seq = e.seq.value;
            EXPECT_EQ(e.k, k);
            EXPECT_EQ(e.body[50], static_cast<std::byte>(seq + k));
        } else {
            EXPECT_EQ(reader.cursor().seq.value, seq);
            EXPECT_EQ(k, effects_of(seq));
            EXPECT_EQ(reader.cursor().chain, cursor_at(seq).chain);
        }
    }
    return reader.cursor().seq.value;
}

TEST(EffectsLog, GivesEveryEffectOnceOverManyFiles) {
    const TempDir dir;
    auto writer = open_writer(dir);
    apply(writer, 1, 999);
    ASSERT_TRUE(writer.sync().ok());
    std::string message;
    auto reader = EffectsReader::resume(dir.path(), {}, message);
    ASSERT_TRUE(reader.ok()) << message;
    EffectStatus status{};
    EXPECT_EQ(follow(reader.value(), status), 999U);
    EXPECT_EQ(status, EffectStatus::End);
    EXPECT_EQ(writer.written(), 999U / 4 * 6 + 1 + 2 + 3);
    EXPECT_EQ(reader.value().fault(), "");
}

TEST(EffectsLog, DropsWhatAReplayOffersAgain) {
    const TempDir dir;
    std::uint64_t written = 0;
    {
        auto writer = open_writer(dir);
        apply(writer, 1, 500);
        ASSERT_TRUE(writer.flush().ok());
        written = writer.written();
    }
    auto writer = open_writer(dir);
    EXPECT_EQ(writer.written(), written);
    EXPECT_EQ(writer.last_mark().seq.value, 499U);
    apply(writer, 200, 600);
    ASSERT_TRUE(writer.flush().ok());
    std::string message;
    auto reader = EffectsReader::resume(dir.path(), {}, message);
    EffectStatus status{};
    EXPECT_EQ(follow(reader.value(), status), 599U);
}

TEST(EffectsLog, FollowerSeesRowsAsTheyAreFlushed) {
    const TempDir dir;
    auto writer = open_writer(dir);
    std::string message;
    auto reader = EffectsReader::resume(dir.path(), {}, message);
    ASSERT_TRUE(reader.ok()) << message;
    EffectStatus status{};
    EXPECT_EQ(follow(reader.value(), status), 0U);
    for (std::uint64_t seq = 1; seq < 600; seq += 7) {
        apply(writer, seq, seq + 6);
        ASSERT_TRUE(writer.flush().ok());
        const std::uint64_t last = writer.last_mark().seq.value;
        EXPECT_EQ(follow(reader.value(), status), last);
        ASSERT_EQ(status, EffectStatus::End) << reader.value().fault();
    }
}

TEST(EffectsLog, ResumesBehindAnyMarkAndRefusesAForeignCursor) {
    const TempDir dir;
    auto writer = open_writer(dir, 4096);
    apply(writer, 1, 199);
    ASSERT_TRUE(writer.flush().ok());
    std::string message;
    for (std::uint64_t seq = 1; seq < 199; ++seq) {
        if (effects_of(seq) == 0) {
            continue;
        }
        auto reader = EffectsReader::resume(dir.path(), cursor_at(seq), message);
        ASSERT_TRUE(reader.ok()) << seq << " " << message;
        ASSERT_EQ(reader.value().next(), EffectStatus::Effect);
        EXPECT_GT(reader.value().effect().seq.value, seq);
        EXPECT_LE(reader.value().effect().seq.value, seq + 2);
    }
    EXPECT_EQ(EffectsReader::resume(dir.path(), {1, Sequence{101}, 5}, message).code(),
              Errc::BadChain);
    EXPECT_EQ(EffectsReader::resume(dir.path(), cursor_at(1000), message).code(), Errc::Busy);
}

TEST(EffectsLog, CutsATailTornAtAnyByteAndTheReplayMendsIt) {
    const TempDir dir;
    {
        auto writer = open_writer(dir, 1 << 20);
        apply(writer, 1, 20);
        ASSERT_TRUE(writer.flush().ok());
    }
    const auto path = std::filesystem::path{dir.path()} / "effects-0000000001.mre";
    const auto whole = std::filesystem::file_size(path);
    for (std::uint64_t cut = 1; cut < whole; cut += 13) {
        std::filesystem::resize_file(path, whole - cut);
        {
            auto writer = open_writer(dir, 1 << 20);
            apply(writer, 1, 20);
            ASSERT_TRUE(writer.flush().ok());
        }
        std::string message;
        auto reader = EffectsReader::resume(dir.path(), {}, message);
        ASSERT_TRUE(reader.ok());
        EffectStatus status{};
        ASSERT_EQ(follow(reader.value(), status), 19U) << "cut " << cut;
        ASSERT_EQ(status, EffectStatus::End) << reader.value().fault();
        ASSERT_EQ(std::filesystem::file_size(path), whole);
    }
}

TEST(EffectsLog, NeverGivesADamagedRow) {
    const TempDir dir;
    {
        auto writer = open_writer(dir, 4096);
        apply(writer, 1, 60);
        ASSERT_TRUE(writer.flush().ok());
    }
    const auto path = std::filesystem::path{dir.path()} / "effects-0000000001.mre";
    const auto size = std::filesystem::file_size(path);
    for (std::uint64_t at = 0; at < size; at += 7) {
        std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
        file.seekg(static_cast<std::streamoff>(at));
        const char was = static_cast<char>(file.get());
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(was ^ 0x01));
        file.flush();
        std::string message;
        auto reader = EffectsReader::resume(dir.path(), {}, message);
        if (reader.ok()) {
            EffectStatus status{};
            (void)follow(reader.value(), status);
            EXPECT_EQ(status, EffectStatus::Corrupt) << "byte " << at;
            EXPECT_NE(reader.value().fault().find("effects-000000000"), std::string::npos);
        }
        file.seekp(static_cast<std::streamoff>(at));
        file.put(was);
    }
}

TEST(EffectsLog, RemovesOldFilesByRecordAndByBytes) {
    const TempDir dir;
    auto writer = open_writer(dir, 4096);
    apply(writer, 1, 399);
    ASSERT_TRUE(writer.flush().ok());
    auto first = writer.retain(Sequence{200}, 1ULL << 30);
    ASSERT_TRUE(first.ok());
    EXPECT_LE(first.value().value, 200U);
    EXPECT_GT(first.value().value, 150U);
    std::string message;
    EXPECT_EQ(EffectsReader::resume(dir.path(), {}, message).code(), Errc::NotFound);
    EXPECT_NE(message.find("Rebuild"), std::string::npos);
    EXPECT_TRUE(EffectsReader::resume(dir.path(), cursor_at(201), message).ok()) << message;
    first = writer.retain(Sequence{200}, 10'000);
    ASSERT_TRUE(first.ok());
    EXPECT_GT(first.value().value, 300U) << "the cap detaches slow sinks";
    apply(writer, 400, 450);
    ASSERT_TRUE(writer.flush().ok());
}

TEST(EffectsLog, ThatBeginsAnewTellsWhoHasNotComeBehindWhatIsLost) {
    const TempDir dir;
    std::string message;
    {
        auto writer = open_writer(dir);
        apply(writer, 1, 10);
        ASSERT_TRUE(writer.flush().ok());
        auto reader = EffectsReader::resume(dir.path(), cursor_at(5), message);
        ASSERT_TRUE(writer.begin_anew(cursor_at(21)).ok());
        EffectStatus status{};
        EXPECT_EQ(follow(reader.value(), status), 10U) << "what was before it is read to its end";
        EXPECT_EQ(status, EffectStatus::Corrupt);
        EXPECT_TRUE(reader.value().lost());
        EXPECT_NE(reader.value().fault().find("records 11 to 21 are lost"), std::string::npos);
        apply(writer, 15, 30);
        ASSERT_TRUE(writer.begin_anew(cursor_at(29)).ok()) << "it is further on already";
        ASSERT_TRUE(writer.flush().ok());
    }
    for (const std::uint64_t lacks : {10U, 15U}) {
        const auto reader = EffectsReader::resume(dir.path(), cursor_at(lacks), message);
        EXPECT_EQ(reader.code(), Errc::NotFound) << lacks << ": " << message;
    }
    ASSERT_TRUE(effects_begin(dir.path()).has_value());
    EXPECT_EQ(effects_begin(dir.path())->seq.value, 21U);
    for (const std::uint64_t has : {21U, 23U}) {
        auto reader = EffectsReader::resume(dir.path(), cursor_at(has), message);
        ASSERT_TRUE(reader.ok()) << message;
        EffectStatus status{};
        EXPECT_EQ(follow(reader.value(), status), 30U);
        EXPECT_EQ(status, EffectStatus::End) << reader.value().fault();
    }
    EXPECT_EQ(open_writer(dir).last_mark().seq.value, 30U);
}

TEST(EffectsLog, ThatIsTakenAwayIsNotWaitedFor) {
    const TempDir dir;
    const auto path = std::filesystem::path{dir.path()} / "effects-0000000001.mre";
    for (const bool another : {false, true}) {
        auto writer = open_writer(dir);
        apply(writer, 1, 10);
        ASSERT_TRUE(writer.flush().ok());
        std::string message;
        auto reader = EffectsReader::resume(dir.path(), {}, message);
        EffectStatus status{};
        EXPECT_EQ(follow(reader.value(), status), 10U);
        EXPECT_EQ(status, EffectStatus::End);
        std::filesystem::rename(path, path.string() + ".away");
        if (another) {
            auto next = open_writer(dir);
            apply(next, 1, 20);
            ASSERT_TRUE(next.flush().ok());
        }
        EXPECT_EQ(reader.value().next(), EffectStatus::Corrupt);
        EXPECT_NE(reader.value().fault().find("taken away"), std::string::npos);
        EXPECT_FALSE(reader.value().lost());
    }
}

TEST(EffectsLog, GoesOnAfterACrashBetweenCreatingAFileAndItsHeader) {
    const TempDir dir;
    {
        auto writer = open_writer(dir);
        apply(writer, 1, 10);
        ASSERT_TRUE(writer.flush().ok());
    }
    std::ofstream{std::filesystem::path{dir.path()} / "effects-0000000002.mre"} << "short";
    auto writer = open_writer(dir);
    EXPECT_EQ(writer.last_mark().seq.value, 10U);
    EXPECT_NE(writer.cut().find("effects-0000000002.mre"), std::string::npos);
}

}  // namespace
}  // namespace millrace::testing

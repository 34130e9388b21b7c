// Goal: whatever part of a segment is damaged, attaching says which, and touches nothing.
// Method: each field of header, directory, ring controls and tables, each cursor and slot number,
// changed in an image while traffic flows through a live segment beside it, to which another
// process keeps attaching.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "tests/attach_fuzz/image.h"

namespace millrace {
namespace {

using test::Attempt;
using test::Guarded;
using test::Image;
using test::TempDir;
using test::Traffic;
using Mode = Segment::Mode;

class AttachFuzz : public ::testing::Test {
protected:
    void TearDown() override {
        EXPECT_GT(traffic_.checked(), 0U);
        EXPECT_EQ(traffic_.stop(), "");
        std::printf("%llu records checked, the live segment attached %llu times beside it\n",
                    static_cast<unsigned long long>(traffic_.checked()),
                    static_cast<unsigned long long>(traffic_.attached()));
    }
    TempDir dir_;
    Traffic traffic_{dir_.file("live"), dir_.str()};
    Image image_;
};

/// The message without the file's name and without numbers: what kind of complaint it is.
std::string kind_of(const Attempt& a, const Image& image) {
    std::string text = a.message.substr(image.path().size());
    std::string kind;
    for (const char c : text) {
        if (c < '0' || c > '9') {
            kind += c;
        }
    }
    return kind;
}

TEST_F(AttachFuzz, AcceptsTheImageItself) {
    EXPECT_EQ(image_.attach(Mode::ReadOnly).message, "");
    EXPECT_EQ(image_.attach(Mode::ReadWrite).message, "");
}

TEST_F(AttachFuzz, NamesEveryDamagedFieldByItsName) {
    std::uint64_t tried = 0;
    for (const Guarded& g : image_.guarded()) {
        for (std::uint64_t i = 0; i < g.bytes; ++i) {
            for (const unsigned mask : {0x01U, 0x80U, 0xFFU, 0x5AU}) {
                image_.bytes()[g.offset + i] ^= std::byte(mask);
                const Attempt a = image_.attach(Mode::ReadOnly);
                ASSERT_NE(a.code, Errc::Ok) << g.name << " byte " << i << " mask " << mask;
                ASSERT_NE(a.message.find(image_.path()), std::string::npos) << a.message;
                if (g.name != "layout_version") {  // "layout version 7, this build speaks 2"
                    ASSERT_NE(a.message.find(g.name), std::string::npos) << a.message;
                }
                image_.bytes()[g.offset + i] ^= std::byte(mask);
                ++tried;
            }
        }
    }
    std::printf("%zu places, %llu corruptions, each refused by name\n", image_.guarded().size(),
                static_cast<unsigned long long>(tried));
}

TEST_F(AttachFuzz, HasADistinctErrorForEachHeaderField) {
    std::map<std::string, std::string> by_kind;
    for (const FieldPlace& f : kHeaderFields) {
        image_.bytes()[f.offset] ^= std::byte{0x55};
        const Attempt a = image_.attach(Mode::ReadOnly);
        image_.heal();
        const auto [at, fresh] = by_kind.emplace(kind_of(a, image_), f.name);
        EXPECT_TRUE(fresh) << f.name << " and " << at->second << " both say: " << a.message;
    }
    EXPECT_EQ(by_kind.size(), std::size(kHeaderFields));
}

/// `value` as a field of `bytes` bytes holds it.
std::uint64_t fit(std::uint64_t value, std::uint32_t bytes) {
    return bytes >= 8 ? value : value & ((std::uint64_t{1} << (8 * bytes)) - 1);
}

/// Fields that say something about the segment and lead nobody anywhere in it.
const std::set<std::string> kSays = {
    "uuid",       "creator_pid", "creator_uid", "created_ns", "clock_anchor_ns", "journal_dir",
    "huge_pages", "locked",      "numa_node",   "huge_bytes", "boot_id"};

TEST_F(AttachFuzz, RefusesImpossiblePlacesAndCountsEvenIfBothCopiesAgree) {
    std::uint64_t tried = 0;
    for (const FieldPlace& f : kHeaderFields) {
        if (kSays.count(f.name) != 0) {
            continue;
        }
        std::uint64_t good = 0;
        std::memcpy(&good, image_.good().data() + f.offset, f.bytes);
        for (const std::uint64_t value :
             {std::uint64_t{0}, std::uint64_t{1}, good + 1, good - 1, good + 8, good + 64,
              good + 4096, good * 2, good / 2, ~std::uint64_t{0}, std::uint64_t{1} << 31U,
              std::uint64_t{1} << 63U, image_.good().size() - 1, image_.good().size()}) {
            if (std::memcmp(&value, &good, f.bytes) == 0) {
                continue;
            }
            for (const std::uint64_t copy : {std::uint64_t{0}, kHeaderCopyOffset}) {
                std::memcpy(image_.bytes().data() + copy + f.offset, &value, f.bytes);
            }
            const Attempt a = image_.attach(Mode::ReadWrite);
            image_.heal();
            // A smaller page leaves this file's length possible: the one harmless lie.
            EXPECT_TRUE(a.code != Errc::Ok || std::string_view{f.name} == "page_bytes")
                << f.name << " = " << value;
            ++tried;
        }
    }
    std::printf("%llu agreed lies in the header\n", static_cast<unsigned long long>(tried));
}

TEST_F(AttachFuzz, RefusesImpossibleRingsEvenIfBothCopiesAgree) {
    std::uint64_t tried = 0;
    const std::uint32_t rings = image_.header().ring_count;
    for (std::uint32_t ring = 0; ring < rings; ++ring) {
        for (const FieldPlace& f : kEntryFields) {
            const std::string_view name{f.name};
            if (name == "name" || name == "owner_id" || name == "reserved") {
                continue;  // lead nowhere
            }
            const std::uint64_t at = image_.header().rings_offset + ring * sizeof(RingEntry);
            std::uint64_t good = 0;
            std::memcpy(&good, image_.good().data() + at + f.offset, f.bytes);
            for (const std::uint64_t value :
                 {std::uint64_t{0}, good + 1, good - 1, good + 32, good * 2, good / 2,
                  ~std::uint64_t{0}, std::uint64_t{1} << 31U, std::uint64_t{1} << 62U}) {
                // Another stage's bell: it would wake the wrong one, which looks and sleeps again.
                const bool other_bell =
                    name == "doorbell" && fit(value, f.bytes) < image_.header().doorbell_count;
                if (std::memcmp(&value, &good, f.bytes) == 0 || other_bell) {
                    continue;
                }
                for (const std::uint64_t copy : {std::uint64_t{0}, rings * sizeof(RingEntry)}) {
                    std::memcpy(image_.bytes().data() + at + copy + f.offset, &value, f.bytes);
                }
                EXPECT_NE(image_.attach(Mode::ReadWrite).code, Errc::Ok)
                    << "ring " << ring << ' ' << f.name << " = " << value;
                image_.heal();
                ++tried;
            }
        }
    }
    std::printf("%llu agreed lies in the directory\n", static_cast<unsigned long long>(tried));
}

TEST_F(AttachFuzz, SaysWhichAgreedLieItIsBeforeAnythingIsReadByIt) {
    const auto refused = [&](const std::string& words) {
        const Attempt a = image_.attach(Mode::ReadWrite);
        image_.heal();
        EXPECT_EQ(a.code, Errc::BadLayout) << a.message;
        EXPECT_NE(a.message.find(words), std::string::npos) << a.message;
    };
    const auto lie = [&](std::uint64_t at, auto value) {
        std::memcpy(image_.bytes().data() + at, &value, sizeof value);
    };
    for (const std::uint64_t copy : {std::uint64_t{0}, kHeaderCopyOffset}) {
        lie(copy + offsetof(SegmentHeader, page_bytes), std::uint32_t{2048});
    }
    refused("page_bytes is 2048");
    const SegmentHeader& h = image_.header();
    // The control agrees as well. A ring that reaches beyond the file puts the next one's there.
    for (const auto& [capacity, words] :
         {std::pair{1U, "capacity 1 is not"}, std::pair{1U << 24U, "ends at"}}) {
        const std::uint64_t entry = h.rings_offset;
        std::uint64_t control = 0;
        std::memcpy(&control, image_.good().data() + entry + offsetof(RingEntry, control_offset),
                    sizeof control);
        for (const std::uint64_t copy : {std::uint64_t{0}, h.ring_count * sizeof(RingEntry)}) {
            lie(entry + copy + offsetof(RingEntry, capacity), capacity);
        }
        lie(control + offsetof(RingControl<>, capacity), capacity);
        refused(words);
    }
}

TEST_F(AttachFuzz, RefusesToWriteWhereCursorsOrNumbersAreImpossible) {
    std::uint64_t tried = 0;
    std::uint64_t refused = 0;
    const auto check = [&](std::uint32_t ring) {
        const bool possible = image_.numbers_possible(ring);
        const Attempt writer = image_.attach(Mode::ReadWrite);
        EXPECT_EQ(writer.code, possible ? Errc::Ok : Errc::BadCursor) << writer.message;
        EXPECT_EQ(image_.attach(Mode::ReadOnly).code, Errc::Ok) << "an inspector must see it";
        image_.heal();
        ++tried;
        refused += possible ? 0 : 1;
    };
    for (std::uint32_t ring = 0; ring < image_.header().ring_count; ++ring) {
        const std::uint64_t capacity = image_.entry(ring).capacity;
        const std::uint64_t read = image_.word(image_.cursor_at(ring));
        for (const std::uint64_t delta :
             {std::uint64_t{1}, capacity - 1, capacity, capacity + 1, 2 * capacity, 1000 * capacity,
              std::uint64_t{1} << 40U, std::uint64_t{1} << 63U}) {
            for (const std::uint64_t value : {read + delta, read - delta}) {
                image_.put_word(image_.cursor_at(ring), value);
                check(ring);
            }
        }
        for (std::uint64_t slot = 0; slot < capacity; ++slot) {
            const std::uint64_t is = image_.word(image_.number_at(ring, slot));
            for (const std::uint64_t value :
                 {std::uint64_t{0}, is + 1, is - 1, is + capacity, is - capacity, is + 2 * capacity,
                  is - 2 * capacity, is + (std::uint64_t{1} << 50U), ~std::uint64_t{0}}) {
                image_.put_word(image_.number_at(ring, slot), value);
                check(ring);
            }
        }
    }
    EXPECT_GT(refused, tried / 2);
    std::printf("%llu cursors and slot numbers, %llu impossible and refused\n",
                static_cast<unsigned long long>(tried), static_cast<unsigned long long>(refused));
}

TEST_F(AttachFuzz, RefusesAnotherBootToWritersAndShowsItToInspectors) {
    for (const std::uint64_t copy : {std::uint64_t{0}, kHeaderCopyOffset}) {
        auto& digit = image_.bytes()[copy + offsetof(SegmentHeader, boot_id)];
        digit = digit == std::byte{'0'} ? std::byte{'1'} : std::byte{'0'};
    }
    const Attempt a = image_.attach(Mode::ReadWrite);
    EXPECT_EQ(a.code, Errc::OtherBoot) << a.message;
    EXPECT_NE(a.message.find("boot_id"), std::string::npos);
    EXPECT_EQ(image_.attach(Mode::ReadOnly).code, Errc::Ok);
}

}  // namespace
}  // namespace millrace

#include "tools/millrace/poison.h"

#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include "persist/skip_list.h"

namespace millrace {
namespace {

constexpr std::string_view kStage = "engine";
constexpr std::string_view kText = "the engine died by its own fault with this record in flight: ";

/// "... in flight: 17". Without allocation, for a signal handler.
class DeathText {
public:
    explicit DeathText(Sequence seq) noexcept {
        std::memcpy(bytes_, kText.data(), kText.size());
        end_ = std::to_chars(bytes_ + kText.size(), bytes_ + sizeof bytes_, seq.value).ptr;
    }
    [[nodiscard]] std::string_view view() const noexcept {
        return {bytes_, static_cast<std::size_t>(end_ - bytes_)};
    }

private:
    char bytes_[kText.size() + 20] = {};
    char* end_ = nullptr;
};

template <std::size_t N>
std::string_view text_of(const char (&field)[N]) noexcept {
    return {field, ::strnlen(field, N)};
}

}  // namespace

void note_engine_death(const Segment& segment, Sequence seq) noexcept {
    segment.report_error(kStage, DeathText{seq}.view());
}

std::uint64_t engine_deaths(const Segment& segment, Sequence seq) noexcept {
    const DeathText text{seq};
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = segment.error(i);
        // Acquire: pairs with the release in report_error(): odd, and the text is whole.
        const bool whole = (e.hash.load(std::memory_order_acquire) & 1U) != 0;
        if (whole && text_of(e.stage) == kStage && text_of(e.text) == text.view()) {
            return e.count.load(std::memory_order_relaxed);
        }
    }
    return 0;
}

bool is_poison(const Segment& segment, Sequence seq) {
    if (seq == Sequence{} || engine_deaths(segment, seq) < kPoisonDeaths) {
        return false;
    }
    std::string message;
    const auto skips = SkipList::load(segment.header().journal_dir, message);
    return !skips || !skips.value().contains(seq);
}

}  // namespace millrace

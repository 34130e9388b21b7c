#include "tools/ticks/history_reader.h"

#include "persist/ticks/tick_query.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace millrace {

HistoryReader::HistoryReader(std::string directory)
    : directory_{std::move(directory)}, thread_{[this] { run(); }} {}

HistoryReader::~HistoryReader() {
    {
        const std::lock_guard lock{mutex_};
        stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

bool HistoryReader::ask(const HistoryQuestion& question) noexcept {
    {
        const std::lock_guard lock{mutex_};
        if (questions_.size() + answers_.size() + (reading_ ? 1U : 0U) >= kWaitingMax) {
            return false;
        }
        questions_.push_back(question);
    }
    wake_.notify_one();
    return true;
}

std::unique_ptr<HistoryAnswer> HistoryReader::take() noexcept {
    const std::lock_guard lock{mutex_};
    if (answers_.empty()) {
        return nullptr;
    }
    auto first = std::move(answers_.front());
    answers_.pop_front();
    return first;
}

void HistoryReader::run() {
    constexpr int kLowest = 19;  // it may stay as it is where that is not allowed
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kLowest);
    std::unique_lock lock{mutex_};
    for (;;) {
        wake_.wait(lock, [this] { return stop_ || !questions_.empty(); });
        if (stop_) {
            return;
        }
        const HistoryQuestion question = questions_.front();
        questions_.pop_front();
        reading_ = true;
        lock.unlock();
        auto found = answer(question);
        lock.lock();
        reading_ = false;
        answers_.push_back(std::move(found));
    }
}

std::unique_ptr<HistoryAnswer> HistoryReader::answer(const HistoryQuestion& question) const {
    const tick_wire::HistoryAsk& ask = question.ask;
    ticklog::QueryOptions query;
    query.symbol.assign(ask.name, ::strnlen(ask.name, sizeof ask.name));
    query.feed = ask.feed;
    query.range = {Nanos{ask.from_ns}, Nanos{ask.to_ns}};
    query.skip = ask.skip;
    query.ticks_max = std::size_t{ask.limit} + 1;  // one more says that there are more
    std::vector<std::string> bad;
    const auto ticks = ticklog::query_ticks(directory_, query, bad);
    auto found = std::make_unique<HistoryAnswer>();
    found->ticket = question.ticket;
    found->flags = (ticks.size() > ask.limit ? tick_wire::kHistoryMore : 0) |
                   (bad.empty() ? 0 : tick_wire::kHistoryTorn);
    const std::size_t n = std::min<std::size_t>(ticks.size(), ask.limit);
    found->ticks.reserve(n);
    for (std::size_t i = 0; i < n; ++i) {
        const ticklog::LogTick& t = ticks[i].tick;
        found->ticks.push_back({0, 0, t.seq, t.time.value, t.bid.value, t.ask.value});
    }
    return found;
}

}  // namespace millrace

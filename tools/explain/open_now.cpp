#include "tools/explain/open_now.h"

#include <algorithm>

#include "persist/log_version.h"
#include "tools/explain/words.h"

namespace millrace::explain {
namespace {

using Row = std::vector<Sheet::Cell>;

std::int64_t whole(std::uint64_t n) {
    return static_cast<std::int64_t>(n);
}
std::string text(std::string_view s) {
    return std::string{s};
}

class Tables {
public:
    Tables(const Engine& engine, const Book& book, AccountId account, Nanos now)
        : engine_{engine}, book_{book}, account_{account}, now_{now} {
        const auto& orders = engine.orders();
        doubted_.resize(orders.used());
        for (std::uint32_t i = 0; i < orders.used(); ++i) {
            if (orders.is_live(i) && orders[i].status == OrdStatus::InDoubt) {
                doubted_[i] = true;
                if (orders[i].parent != kNoId) {
                    doubted_[orders[i].parent] = true;  // what it holds is uncertain too
                }
            }
        }
    }

    Sheet positions() {
        sheet_.columns = {"account",  "symbol", "side",      "volume",      "price",     "age",
                          "position", "order",  "stop_loss", "take_profit", "created_ns"};
        each_order([this](std::uint32_t i, const Order& o) {
            if (o.type == CommandType::Open && o.open_volume.value > 0) {
                add(i, {book_.account(o.account), book_.symbol(o.symbol), text(side_word(o.side)),
                        number(o.open_volume.value), number(o.avg.value), age(o.created),
                        whole(o.position_id), whole(o.intent), number(o.stop_loss.value),
                        number(o.take_profit.value), o.created.value});
            }
        });
        return std::move(sheet_);
    }

    Sheet orders() {
        sheet_.columns = {"account", "symbol",       "type",       "side",       "volume",
                          "filled",  "status",       "age",        "order",      "attempt",
                          "retcode", "order_ticket", "created_ns", "deadline_ns"};
        each_order([this](std::uint32_t i, const Order& o) {
            if (!is_final(o.status)) {
                add(i,
                    {book_.account(o.account), book_.symbol(o.symbol),
                     text(command_word(static_cast<std::uint8_t>(o.type))), text(side_word(o.side)),
                     number(o.volume.value), number(o.cum.value), text(to_string(o.status)),
                     age(o.created), whole(o.intent), whole(o.attempt + 1U), whole(o.retcode),
                     whole(o.order_ticket), o.created.value, o.deadline.value});
            }
        });
        return std::move(sheet_);
    }

    Sheet accounts() {
        sheet_.columns = {"account",  "state",  "link", "equity",  "orders", "positions",
                          "in_doubt", "killed", "halt", "balance", "id",     "login"};
        for (std::uint32_t i = 0; i < engine_.account_count(); ++i) {
            const Account& a = engine_.account(AccountId{i});
            if (!a.defined || (account_.value != kNoId && account_.value != i)) {
                continue;
            }
            sheet_.rows.push_back({book_.account(AccountId{i}), text(to_string(a.state)),
                                   text(to_string(a.link)), number(a.equity.value),
                                   whole(a.live_orders), whole(a.open_positions), whole(a.in_doubt),
                                   killed(a), halt(a), number(a.balance.value), whole(i),
                                   whole(a.spec.login)});
            sheet_.doubted.push_back(a.in_doubt > 0);
        }
        return std::move(sheet_);
    }

private:
    template <class F>
    void each_order(F f) {
        std::vector<std::uint32_t> ids;
        for (std::uint32_t i = 0; i < engine_.orders().used(); ++i) {
            const bool mine = engine_.orders().is_live(i) &&
                              (account_.value == kNoId || engine_.orders()[i].account == account_);
            if (mine) {
                ids.push_back(i);
            }
        }
        // By account, then by age: places in the table are used again.
        std::sort(ids.begin(), ids.end(), [this](std::uint32_t a, std::uint32_t b) {
            const Order& x = engine_.orders()[a];
            const Order& y = engine_.orders()[b];
            return x.account != y.account ? x.account < y.account : x.intent < y.intent;
        });
        for (const std::uint32_t i : ids) {
            f(i, engine_.orders()[i]);
        }
    }
    void add(std::uint32_t order, Row row) {
        sheet_.rows.push_back(std::move(row));
        sheet_.doubted.push_back(doubted_[order]);
    }
    [[nodiscard]] std::string age(Nanos since) const { return span_text(now_ - since); }
    /// What it lost too much of, or that it was filled too far away.
    [[nodiscard]] std::string halt(const Account& a) const {
        const AccountRisk& r = engine_.account_risk(a.spec.id);
        switch (r.halt) {
            case Halt::DailyLoss: return "DAILY_LOSS";
            case Halt::Drawdown: return "DRAWDOWN";
            case Halt::None: break;
        }
        return r.slipped != 0 ? "SLIPPAGE" : "-";
    }
    [[nodiscard]] std::string killed(const Account& a) const {
        return engine_.globals().killed_all != 0 ? "ALL" : a.killed != 0 ? "ACCOUNT" : "-";
    }

    const Engine& engine_;
    const Book& book_;
    AccountId account_;
    Nanos now_;
    std::vector<bool> doubted_;  // by place in the table of orders
    Sheet sheet_;
};

}  // namespace

std::unique_ptr<OpenNow> OpenNow::open(const Where& where, std::string& message) {
    std::unique_ptr<OpenNow> now{new OpenNow{where}};
    const auto files = list_log(now->source_);
    Sequence first;
    for (const LogFile& f : files ? files.value() : std::vector<LogFile>{}) {
        if (f.use == LogFileUse::Used && first.value == 0) {
            first = Sequence{f.header.first_seq};
        }
    }
    if (first.value == 0) {
        message = where.dir + ": there are no journal files";
        return nullptr;
    }
    message = refused_logic(where.dir);
    if (!message.empty()) {
        return nullptr;
    }
    const Sequence newest{where.segment == nullptr
                              ? kWholeLog.value
                              : where.segment->core().durable.load(std::memory_order_acquire)};
    now->state_ = LogState::begin(where.dir, newest, first, where.capacity, message);
    if (now->state_ == nullptr) {
        return nullptr;
    }
    auto reader = JournalReader::open(now->source_, now->state_->engine().seq(), {}, message);
    if (!reader) {
        message = message.empty() ? where.dir + ": " + reader.error().what : message;
        return nullptr;
    }
    now->reader_ = std::make_unique<JournalReader>(std::move(reader).value());
    return now->advance(message) ? std::move(now) : nullptr;
}

/// Never beyond what a living engine has come through: one that halted may have died of the next.
ReadStatus OpenNow::next() {
    if (where_->segment == nullptr) {
        return reader_->next();
    }
    const CoreCells& core = where_->segment->core();
    // Acquire: pair with the engine's and the journal stage's releases; the epoch comes after.
    const std::uint64_t completed = core.completed.load(std::memory_order_acquire);
    const std::uint64_t durable = core.durable.load(std::memory_order_acquire);
    return reader_->next(Sequence{std::min(completed, durable)},
                         core.epoch.load(std::memory_order_relaxed));
}

bool OpenNow::advance(std::string& message) {
    while (true) {
        const ReadStatus status = next();
        if (status == ReadStatus::Corrupt) {
            message = reader_->fault().what;
            return false;
        }
        if (status == ReadStatus::End || reader_->record().seq > where_->through) {
            return true;
        }
        if (!state_->apply(reader_->record())) {
            message = where_->dir + ": record " + std::to_string(reader_->record().seq.value) +
                      " is of another logic version, or does not follow";
            return false;
        }
    }
}

Sheet OpenNow::sheet(OpenOf of, AccountId account, Nanos now) const {
    const Engine& engine = state_->engine();
    Tables tables{engine, where_->book, account, now};
    Sheet s = of == OpenOf::Positions ? tables.positions()
              : of == OpenOf::Orders  ? tables.orders()
                                      : tables.accounts();
    if (of == OpenOf::Positions) {
        s.differences = read_differences(where_->dir);
        std::erase_if(s.differences, [account](const ToldDifference& d) {
            return account.value != kNoId && d.account != account;
        });
    }
    s.seq = engine.seq();
    s.time = engine.time();
    s.from = "logs";
    return s;
}

}  // namespace millrace::explain

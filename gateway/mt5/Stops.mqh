// Sees to it that a position has the stops its order asked for. Some servers fill an order and drop
// them; the order's own answer does not say so. What is missing right after the fill is set again,
// which does no harm twice. What has been there once is never touched: who moved or removed it, a
// person or the engine, meant it. That it has been there is in the journal, so that a run of the
// program goes on where the one before it died.

#include "Executor.mqh"

#define STOPS_FIRST_MS 500  // doubles with each attempt
#define STOPS_TRIES 3
// "Not now" is no refusal: asked again after 0.5 s, doubling to this, and told after so many.
#define STOPS_PUT_OFF_MAX_MS 60000
#define STOPS_PUT_OFF_TOLD 3
#define STOPS_GUARDED_MAX 256
// At the start, until every open position shows the deals that opened it: so often, so far apart.
#define STOPS_LOOKS_MAX 60
#define STOPS_LOOK_EVERY_MS 1000

struct Guarded
{
    Command order;
    ulong position;
    int tries;
    ulong next_ms;
    int put_off;     // attempts that the server would take at another time
    bool given_up;   // seen without its stops after the last attempt
    bool only_told;  // nothing is set any more: its prices are not those of the stops
};

/// Would the server take it at another time? The market is shut, there is no price, the symbol or
/// the position is being worked on, there were too many requests, or the connection was bad.
bool is_not_now(const uint code)
{
    return code == TRADE_RETCODE_REQUOTE || code == TRADE_RETCODE_TIMEOUT ||
           code == TRADE_RETCODE_TRADE_DISABLED || code == TRADE_RETCODE_MARKET_CLOSED ||
           code == 10020 || code == TRADE_RETCODE_PRICE_OFF ||
           code == TRADE_RETCODE_TOO_MANY_REQUESTS || code == 10028 || code == 10029 ||
           code == TRADE_RETCODE_CONNECTION;
}

class StopGuard
{
private:
    Guarded all_[];
    int looks_;  // at what the run before left; 0 = none yet
    ulong next_look_ms_;

    void remove(const int i)
    {
        int n = ArraySize(all_);
        all_[i] = all_[n - 1];
        ArrayResize(all_, n - 1, 16);
    }

    /// For good: also a later run of the program leaves this position alone.
    void finish(const int i)
    {
        g_journal.remember_stops_over(all_[i].order.magic);
        remove(i);
    }

    void guard(const Command &order, const ulong position);
    void take_over();
    bool take_over_position(const ulong position);
    void set_again(const int i);

    /// Does the position selected lack one that was asked for?
    bool lacks(const int i)
    {
        return (all_[i].order.stop_loss != 0 && PositionGetDouble(POSITION_SL) == 0) ||
               (all_[i].order.take_profit != 0 && PositionGetDouble(POSITION_TP) == 0);
    }

public:
    StopGuard() { reset(); }
    void reset()
    {
        ArrayResize(all_, 0);
        looks_ = 0;
        next_look_ms_ = 0;
    }

    /// The engine has something to say about this position: it knows how it stands.
    void forget(const ulong ticket)
    {
        for (int i = ArraySize(all_) - 1; i >= 0; i--)
            if (all_[i].position == ticket)
                finish(i);
    }

    /// A position has gone without its stops through every attempt to set them, the last one too:
    /// that is known by a look after it, not by its number. Or they cannot be set just now, again.
    bool missing()
    {
        for (int i = 0; i < ArraySize(all_); i++)
            if (all_[i].given_up || all_[i].put_off >= STOPS_PUT_OFF_TOLD)
                return true;
        return false;
    }

    /// Have the stops of the position selected been refused for good, and are they missing now?
    bool gives_up_selected()
    {
        ulong position = (ulong)PositionGetInteger(POSITION_IDENTIFIER);
        for (int i = 0; i < ArraySize(all_); i++)
            if (all_[i].position == position && all_[i].given_up && !all_[i].only_told && lacks(i))
                return true;
        return false;
    }

    /// A split or the like has changed what its prices mean: nothing is set again from here on.
    void only_tell(const ulong position)
    {
        for (int i = 0; i < ArraySize(all_); i++)
            if (all_[i].position == position)
                all_[i].only_told = true;
    }

    /// A position of ours, by its identifier, has lost stops that it had. @param magic of it.
    void restore(const ulong magic, const ulong position, const int side, const long stop_loss,
                 const long take_profit)
    {
        Command order;
        ZeroMemory(order);
        order.magic = magic;
        order.side = side;
        order.stop_loss = stop_loss;
        order.take_profit = take_profit;
        guard(order, position);
    }

    void take_fills()
    {
        Filled filled;
        while (g_executor.take_filled(filled))
            guard(filled.order, filled.position);
    }

    /// An order of ours has opened this position, or added to it.
    void on_fill(const ulong magic, const ulong order, const ulong position);

    void update()
    {
        take_fills();
        if (!g_account.ready())
            return;  // an empty list says nothing
        if (looks_ < STOPS_LOOKS_MAX && now_ms() >= next_look_ms_)
            take_over();
        for (int i = ArraySize(all_) - 1; i >= 0; i--)
        {
            if (now_ms() < all_[i].next_ms)
                continue;
            bool there = g_account.select_position(all_[i].position);
            int side = (there && PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY) ? SIDE_BUY
                                                                                        : SIDE_SELL;
            // Gone, or (netting) turned or made smaller by it: its stops are not that one's.
            if (!there || side != all_[i].order.side)
            {
                finish(i);
                continue;
            }
            if (!lacks(i))
                finish(i);
            else if (all_[i].tries < STOPS_TRIES && !all_[i].only_told)
                set_again(i);
            else
            {
                all_[i].given_up = true;
                all_[i].next_ms = now_ms() + STOPS_FIRST_MS;  // somebody may mend it
            }
        }
    }
};

void StopGuard::guard(const Command &order, const ulong position)
{
    int n = ArraySize(all_);
    if ((order.stop_loss == 0 && order.take_profit == 0) || n >= STOPS_GUARDED_MAX)
        return;
    for (int i = 0; i < n; i++)
        if (all_[i].order.magic == order.magic)
            return;  // filled in parts
    ArrayResize(all_, n + 1, 16);
    all_[n].order = order;
    all_[n].position = position;
    all_[n].tries = 0;
    all_[n].next_ms = 0;
    all_[n].put_off = 0;
    all_[n].given_up = false;
    all_[n].only_told = false;
}

/// What a pending asked for in the end: it may have been changed since it was placed.
void take_stops_of(const ulong order, Command &command)
{
    if (HistoryOrderSelect(order))
    {
        command.stop_loss = to_scaled(HistoryOrderGetDouble(order, ORDER_SL));
        command.take_profit = to_scaled(HistoryOrderGetDouble(order, ORDER_TP));
    }
    else if (OrderSelect(order))
    {
        command.stop_loss = to_scaled(OrderGetDouble(ORDER_SL));
        command.take_profit = to_scaled(OrderGetDouble(ORDER_TP));
    }
}

void StopGuard::on_fill(const ulong magic, const ulong order, const ulong position)
{
    int known = g_journal.find(magic);
    if (known < 0 || g_journal.stops_over_at(known) || g_journal.changes(position, known))
        return;
    Intent intent;
    g_journal.intent_at(known, intent);
    if (intent.command.type != COMMAND_OPEN)
        return;
    if (intent.command.price_kind != PRICE_MARKET)
        take_stops_of(order, intent.command);
    guard(intent.command, position);
}

/// What the run before left, once a run: open positions without the stops that their orders asked
/// for, and that nobody has seen there.
void StopGuard::take_over()
{
    bool whole = true;
    ulong positions[];
    int n = 0;
    for (int i = 0; i < PositionsTotal(); i++)
    {
        if (PositionGetTicket(i) == 0)
        {
            whole = false;
            break;
        }
        ArrayResize(positions, n + 1, 64);
        positions[n++] = (ulong)PositionGetInteger(POSITION_IDENTIFIER);
    }
    for (int i = 0; i < n; i++)
        whole = take_over_position(positions[i]) && whole;
    looks_ = whole ? STOPS_LOOKS_MAX : looks_ + 1;
    next_look_ms_ = now_ms() + STOPS_LOOK_EVERY_MS;
}

/// @return false if its deals are not there yet.
bool StopGuard::take_over_position(const ulong position)
{
    ulong magics[];
    ulong orders[];
    int n = 0;
    if (!HistorySelectByPosition((long)position))
        return false;
    int deals = HistoryDealsTotal();
    for (int i = 0; i < deals; i++)
    {
        ulong ticket = HistoryDealGetTicket(i);
        if (ticket == 0)
            return false;
        ulong magic = (ulong)HistoryDealGetInteger(ticket, DEAL_MAGIC);
        bool opens = HistoryDealGetInteger(ticket, DEAL_ENTRY) != DEAL_ENTRY_OUT;
        if (!opens || !g_account.is_ours(magic))
            continue;
        ArrayResize(magics, n + 1, 16);
        ArrayResize(orders, n + 1, 16);
        magics[n] = magic;
        orders[n] = (ulong)HistoryDealGetInteger(ticket, DEAL_ORDER);
        n++;
    }
    for (int i = 0; i < n; i++)  // reads single orders, which takes their place in the history
        on_fill(magics[i], orders[i], position);
    return deals > 0;
}

/// The position is selected.
void StopGuard::set_again(const int i)
{
    if (g_account.refusal() != 0 || !g_account.may_send())
        return;
    MqlTradeRequest request;
    MqlTradeResult result;
    ZeroMemory(request);
    ZeroMemory(result);
    request.action = TRADE_ACTION_SLTP;
    request.magic = all_[i].order.magic;
    request.position = (ulong)PositionGetInteger(POSITION_TICKET);
    request.symbol = PositionGetString(POSITION_SYMBOL);
    request.sl = PositionGetDouble(POSITION_SL);
    request.tp = PositionGetDouble(POSITION_TP);
    if (request.sl == 0)
        request.sl = round_price(request.symbol, from_scaled(all_[i].order.stop_loss));
    if (request.tp == 0)
        request.tp = round_price(request.symbol, from_scaled(all_[i].order.take_profit));
    PrintFormat("millrace: position %s has not got the stops its order asked for; setting them",
                IntegerToString((long)all_[i].position));
    g_link.announce_busy(BUSY_MS);
    ResetLastError();
    bool sent = OrderSend(request, result);
    int error = GetLastError();
    g_link.forgive_silence();
    if (!sent && result.retcode == 0)
        result.retcode = code_of_error(error);
    g_account.on_answer(leaves_open(result.retcode));
    if (is_not_now(result.retcode))
    {
        ulong wait = (ulong)STOPS_FIRST_MS << MathMin(all_[i].put_off, 7);
        all_[i].put_off++;
        all_[i].next_ms = now_ms() + MathMin((ulong)STOPS_PUT_OFF_MAX_MS, wait);
        PrintFormat("millrace: they cannot be set now, return code %d", (int)result.retcode);
        return;
    }
    all_[i].tries++;
    // After the last one there is nothing to wait for but the list of positions.
    bool last = all_[i].tries >= STOPS_TRIES;
    all_[i].next_ms = now_ms() + (last ? (ulong)STOPS_FIRST_MS
                                       : (ulong)STOPS_FIRST_MS << all_[i].tries);
    if (is_done(result.retcode) || result.retcode == TRADE_RETCODE_NO_CHANGES)
        return;
    PrintFormat("millrace: they were not set, return code %d, attempt %d of %d",
                (int)result.retcode, all_[i].tries, STOPS_TRIES);
}

StopGuard g_stops;

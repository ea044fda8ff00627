// the card

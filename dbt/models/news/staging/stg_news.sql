{{ staged_texts(source('news', 'raw')) }}
